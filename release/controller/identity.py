"""Whether a configuration is the version that it is taken for: names alone do not tell."""

from __future__ import annotations

from release.errors import EndpointError
from release.observation import Config
from release.state import GoodVersion


def refuse_other_content(config: Config, wanted: GoodVersion) -> None:
    """Refuse a configuration that was deleted, and made anew by hand for something else.

    Raises:
        EndpointError: it serves another model, or carries the tag of another content.
    """
    models = [str(variant.get("ModelName", "")) for variant in config.production()]
    is_other_model = bool(wanted.model_name) and models != [wanted.model_name]
    if not is_other_model and config.content_hash in (None, wanted.content_hash):
        return
    found = (config.content_hash or "unknown")[:12]
    raise EndpointError(
        f"endpoint configuration {config.name} serves {', '.join(models) or 'nothing'} (content "
        f"{found}), and version {wanted.version} is {wanted.model_name} (content "
        f"{wanted.content_hash[:12]}): it was made anew by someone else; delete it, and stage the "
        "version again with `slipway up`"
    )
