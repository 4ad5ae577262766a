"""Environment variables by which a stack, an image or an operator tells the model server things."""

from __future__ import annotations

# The sha256 that the package's slipway.json must have; set on the Model from the package.
MANIFEST_SHA256 = "SLIPWAY_MANIFEST_SHA256"
# Set where a server is started as on SageMaker: without the one above it does not start.
REQUIRE_MANIFEST_SHA256 = "SLIPWAY_REQUIRE_MANIFEST_SHA256"
# Packages, by that sha256, whose code and pickles may run; names of types that skops may load.
ALLOW_CODE = "SLIPWAY_ALLOW_CODE"
TRUSTED_TYPES = "SLIPWAY_TRUSTED_TYPES"
# The folder of a native model's interpreter, and the sha256 of the lock that it was built from.
NATIVE_ENVIRONMENT = "SLIPWAY_NATIVE_ENV"
LOCK_SHA256 = "SLIPWAY_LOCK_SHA256"
