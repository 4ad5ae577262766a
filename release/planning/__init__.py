"""What a release would do, told before anything moves. Pure."""
