"""The page of ``slipway serve``: for the person at this machine, never in a container."""

from __future__ import annotations

import json
import math
import secrets
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from contracts.package import ArchiveIndex
from inference.errors import shown
from inference.formats.signature import Column, Signature
from inference.http.messages import Response, error

PAGE = "desk.html"
LOOPBACK = frozenset({"127.0.0.1", "::1"})
HOSTS = frozenset({*LOOPBACK, "localhost"})
EXAMPLES = ("serving_input_example.json", "input_example.json")
MAX_EXAMPLE_BYTES = 1 << 20
# What a field holds where the package brings no example.
MADE_UP: dict[str, Any] = {"number": 0.0, "integer": 0, "boolean": False, "string": ""}


class Desk:
    """Answers ``GET /``, and refuses names that are not this machine's.

    A page of somebody else's whose name was made to point at 127.0.0.1 (DNS rebinding) sends its
    own name as Host, so nothing is answered to any other than this machine's.
    """

    def __init__(self) -> None:
        self._about: dict[str, Any] | None = None

    def show(self, index: ArchiveIndex, model_dir: Path) -> None:
        """From now on, the page of this model."""
        signature = Signature.from_schema(index.inputs)
        columns = [
            {"name": c.name, "kind": c.kind, "form": c.form, "nullable": c.nullable}
            for c in signature.columns
        ]
        self._about = {
            "model": index.model,
            "version": index.version,
            "engine": index.serving_engine,
            "output": index.output,
            "columns": columns,
            "tensor": signature.tensor,
            "example": example(signature, model_dir),
        }

    def answer(self, method: str, path: str, host: str | None) -> Response | None:
        """The page, a refusal, or None where the request is none of its business.

        ``host`` is the header; None where there is none, as no browser sends.
        """
        if host is not None and _name(host) not in HOSTS:
            problem = f"host is {shown(host)}; this server answers to 127.0.0.1 and localhost alone"
            return error(421, problem)
        if path != "/" or method not in ("GET", "HEAD"):
            return None
        if self._about is None:
            loading = error(503, "the model is being loaded; the page comes when it is")
            return Response(503, loading.body, headers=(("Refresh", "1"),))
        return _page(self._about)


def example(signature: Signature, model_dir: Path) -> list[Any]:
    """One row to begin with, in column order: the model's own input example, else made up."""
    for name in EXAMPLES:
        row = _first_row(model_dir / "model" / name, signature.names)
        if row is not None:
            return row
    return [_made_up(column) for column in signature.columns]


def _made_up(column: Column) -> Any:
    return "2026-01-01T12:00:00" if column.form == "date-time" else MADE_UP[column.kind]


def _first_row(file: Path, names: list[str]) -> list[Any] | None:
    """The first row of an example as MLflow keeps it, if it has every column."""
    try:
        if file.stat().st_size > MAX_EXAMPLE_BYTES:
            return None
        told: Any = json.loads(file.read_text("utf-8"))
        split: dict[str, Any] = told.get("dataframe_split", told)
        columns, row = list(split["columns"]), list(split["data"][0])
        found = [row[columns.index(name)] for name in names]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    is_plain = all(v is None or isinstance(v, str | int | float) for v in found)
    if not is_plain:
        return None
    return [None if isinstance(v, float) and not math.isfinite(v) else v for v in found]


def _name(host: str) -> str:
    """The name in ``Host``, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _page(about: dict[str, Any]) -> Response:
    nonce = secrets.token_urlsafe(16)
    # "<" could end the script that holds it.
    data = json.dumps(about, allow_nan=False).replace("<", "\\u003c")
    template = Template(resources.files("inference").joinpath(PAGE).read_text("utf-8"))
    text = template.substitute(
        nonce=nonce, title=escape(f"{about['model']} {about['version']}"), about=data
    )
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    headers = (
        ("Content-Security-Policy", policy),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
    )
    return Response(200, text.encode(), "text/html; charset=utf-8", headers)
