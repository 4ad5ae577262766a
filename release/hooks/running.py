"""Hooks that really run: commands on this machine, functions in AWS."""

from __future__ import annotations

from release.hooks.command import run_command
from release.hooks.function import FunctionRunner, lambda_client
from release.hooks.questions import Hooks


def hooks_of(driver: str, region: str) -> Hooks:
    """Commands run here, functions in ``region``."""
    return Hooks(driver, run_command, FunctionRunner(lambda_client(region)))
