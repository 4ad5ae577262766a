"""Settings of Hypothesis for all tests."""

from __future__ import annotations

from hypothesis import settings

# The same examples in every run, and none that fails because the machine is busy.
# `pytest --hypothesis-profile=default` draws others.
settings.register_profile("slipway", derandomize=True, deadline=None, database=None)
settings.load_profile("slipway")
