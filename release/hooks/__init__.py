"""User hooks: the owner's own checks, asked while a step bakes."""
