"""Data capture (facts 8) as what gates compare."""
