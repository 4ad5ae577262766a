"""``slipway train``, ``package``, ``serve``: models from the registry to files, and to a server."""
