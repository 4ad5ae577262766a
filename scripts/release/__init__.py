"""``slipway plan``, ``release``, ``status`` and what else moves traffic or tells of it."""
