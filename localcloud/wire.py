"""One HTTP request and its answer, as the parts of the cloud hand them to each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qs, unquote

from localcloud.service import DEFAULT_REGION

# Credential=AKID/20261124/us-east-1/s3/aws4_request
_SCOPE = re.compile(r"Credential=[^/,\s]*(?:/[^/,\s]*)*?/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class WireRequest:
    """``target`` is path and query as sent; ``headers`` keep order, case and repetitions."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @cached_property
    def lower_headers(self) -> Mapping[str, str]:
        """Headers by lower-case name; repetitions joined by a comma."""
        joined: dict[str, str] = {}
        for name, value in self.headers:
            key = name.lower()
            joined[key] = f"{joined[key]},{value}" if key in joined else value
        return joined

    def header(self, name: str) -> str:
        """The header's value; empty when absent. ``name`` is in lower case."""
        return self.lower_headers.get(name, "")

    @property
    def raw_path(self) -> str:
        return self.target.partition("?")[0] or "/"

    @property
    def path(self) -> str:
        return unquote(self.raw_path)

    @property
    def query_string(self) -> str:
        return self.target.partition("?")[2]

    @cached_property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.query_string, keep_blank_values=True)

    @cached_property
    def _scope(self) -> tuple[str, str] | None:
        """Region and service of the SigV4 scope, from the header or a presigned URL."""
        text = self.header("authorization")
        if not text and "X-Amz-Credential" in self.query:
            text = "Credential=" + self.query["X-Amz-Credential"][0]
        found = _SCOPE.search(text)
        return (found[1], found[2].lower()) if found else None

    @property
    def signing_service(self) -> str | None:
        """The service that the request is signed for; None when it is not signed."""
        return None if self._scope is None else self._scope[1]

    @property
    def region(self) -> str:
        return DEFAULT_REGION if self._scope is None else self._scope[0]

    @cached_property
    def form(self) -> dict[str, list[str]]:
        """Fields of a form body (the Query protocol); empty for any other body."""
        if not self.header("content-type").startswith(_FORM):
            return {}
        return parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)


@dataclass
class WireAnswer:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    body: bytes = b""
