"""``slipway cloud``: the local cloud, started, stopped, and made to fail."""
