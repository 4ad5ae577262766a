"""The Pulumi program: what exists."""
