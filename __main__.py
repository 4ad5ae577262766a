"""The Pulumi program of Slipway; ``infra.stack`` shows what it makes."""

from pathlib import Path

import pulumi

from contracts.errors import SlipwayError
from infra.program import run

try:
    run(Path(__file__).resolve().parent)
except SlipwayError as error:
    # Pulumi prints this one without a stack trace.
    raise pulumi.RunError(str(error)) from None
