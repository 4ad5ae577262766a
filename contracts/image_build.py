"""What builds a stack's images in AWS: written by ``up``, read by ``slipway image``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from contracts.canonical import pretty_json
from contracts.errors import ContractError

# Below it the build contexts lie in the bucket, each named by its hash.
CONTEXT_PREFIX = "image-builds"


@dataclass(frozen=True)
class ImageBuild:
    """A CodeBuild ``project``, the ``bucket`` it reads from, the ``repository`` it pushes to.

    ``repository`` is ``ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME``.
    """

    project: str
    bucket: str
    repository: str

    def to_json(self) -> str:
        return pretty_json(asdict(self))

    @staticmethod
    def from_json(text: str) -> ImageBuild:
        """Raises ContractError where ``text`` is no such record."""
        names = [field.name for field in fields(ImageBuild)]
        try:
            found = json.loads(text)
            return ImageBuild(**{name: str(found[name]) for name in names})
        except (ValueError, KeyError, TypeError) as error:
            raise ContractError(
                f"the record of the stack's CodeBuild project is {text[:64]!r}; "
                f"{', '.join(names)} are needed; `slipway up` writes it anew"
            ) from error


def context_key(digest: str) -> str:
    return f"{CONTEXT_PREFIX}/{digest}.zip"
