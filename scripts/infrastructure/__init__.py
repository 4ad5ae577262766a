"""``slipway preview``, ``up``, ``refresh``, ``destroy`` and ``env``: what Pulumi does."""
