"""What an e-value must reach: 1/e bounds how often a gate is wrong, however often it looks."""

from __future__ import annotations

FAIL_AT = 100.0  # For each gate: all gates together cry wolf in at most 1 % of releases.
PASS_AT = 20.0
