"""Bodies to rows."""
