"""A release's evidence as one HTML page. Pure: no script, no network."""
