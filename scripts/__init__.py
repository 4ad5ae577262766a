"""The ``slipway`` command: one thin file per stage, joining the parts."""
