"""``code/inference.py`` of a package: what AWS's own serving containers load and call.

They import it by the name ``inference``, which is our package's name, too: so it stands in for the
package, whose modules it finds in ``slipway/`` beside it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

CARRIED = Path(__file__).resolve().parent / "slipway"
OLDEST = (3, 11)

if CARRIED.is_dir():
    if sys.version_info < OLDEST:
        raise RuntimeError(
            f"this container has Python {sys.version.split()[0]}; {'.'.join(map(str, OLDEST))} or "
            "newer is needed: name a newer image of AWS's, or build one with `slipway image build`"
        )
    if __name__ == "inference":
        __path__ = [str(CARRIED / "inference")]
    sys.path.insert(0, str(CARRIED))


def model_fn(model_dir: str) -> Any:
    """The predictor of the unpacked package, after checking the hash of every file.

    Raises:
        PackageRefusedError: it is not what ``SLIPWAY_MANIFEST_SHA256`` says, or nothing says it.
    """
    from contracts.variables import MANIFEST_SHA256
    from inference.errors import PackageRefusedError
    from inference.predictor import load

    if not os.environ.get(MANIFEST_SHA256):
        raise PackageRefusedError(
            f"{MANIFEST_SHA256} is not set, so nobody says which package was released; release it "
            "with Slipway, or set the variable on the Model to index_sha256 of its manifest.json"
        )
    predictor = load(Path(model_dir))
    predictor.probe()
    return predictor


def input_fn(request_body: bytes | str, content_type: str | None) -> tuple[str, bytes]:
    """The body as it came; it is decoded beside the model, whose signature says how."""
    body = request_body.encode() if isinstance(request_body, str) else bytes(request_body)
    return content_type or "", body


def predict_fn(data: tuple[str, bytes], model: Any) -> list[Any]:
    """One prediction a row."""
    from inference.errors import ModelFailedError, RequestError
    from inference.formats import codecs

    try:
        return model.predict(codecs.decode(model.signature, *data))
    except RequestError as problem:
        raise _told(problem.status, str(problem)) from problem
    except ModelFailedError as problem:
        raise _told(500, str(problem)) from problem


def output_fn(prediction: list[Any], accept: str | None) -> tuple[bytes, str]:
    """The response's body and its type."""
    from inference.errors import RequestError
    from inference.formats import codecs

    try:
        kind = codecs.accepted(accept or "")
    except RequestError as problem:
        raise _told(problem.status, str(problem)) from problem
    return codecs.encode(kind, prediction), kind


def _told(status: int, message: str) -> Exception:
    """The toolkit's own error, which carries a status; it answers 500 to any other."""
    try:
        from sagemaker_inference.errors import (  # pyright: ignore[reportMissingImports]
            BaseInferenceToolkitError,
        )
    except ImportError:
        return ValueError(f"{status}: {message}")
    return BaseInferenceToolkitError(status, message, message)
