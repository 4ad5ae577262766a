"""Who drives a release: looks, lets the controller decide, saves, acts, and tells."""
