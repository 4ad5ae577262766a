"""What Lambda functions of ours run on."""

from __future__ import annotations

# The Python that everything here is checked with, and that the local cloud runs functions by. AWS
# supports it until 2027-06-30, and refuses to make functions with it from 2027-07-31 on.
LAMBDA_RUNTIME = "python3.11"
