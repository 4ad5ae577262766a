"""The peers' applications, as people write them by hand; each runs in an environment of its own."""
