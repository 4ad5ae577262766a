"""The history bucket in memory: conditional writes, as S3 has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.canonical import canonical_json
from release.errors import ConflictError
from release.freeze import Freeze
from release.observation import Request
from release.records import encode
from release.state import SCHEMA_VERSION, EndpointState
from tests.unit.release_samples import ENDPOINT


@dataclass
class FakeHistory:
    """What another process reads went through JSON; ``seen`` stands for the ETag."""

    shared: dict[str, EndpointState] = field(default_factory=dict[str, EndpointState])
    evidence: dict[str, str] = field(default_factory=dict[str, str])
    beside: dict[str, Any] = field(default_factory=dict[str, Any])
    before_save: Callable[[EndpointState], None] = lambda _state: None
    after_save: Callable[[EndpointState], None] = lambda _state: None
    seen: EndpointState | None = None

    def load(self) -> EndpointState:
        self.seen = self.shared.get("state")
        if self.seen is None:
            return EndpointState(ENDPOINT)
        # As `to_json` writes it, without the blanks that only people need.
        text = canonical_json({"schema_version": SCHEMA_VERSION, **encode(self.seen)})
        return EndpointState.from_json(text, "state")

    def save(self, state: EndpointState) -> None:
        self.before_save(state)
        if self.shared.get("state") is not self.seen:
            raise ConflictError("the state was changed")
        self.seen = self.shared["state"] = replace(state)
        self.after_save(state)

    def is_unchanged(self) -> bool:
        return self.shared.get("state") is self.seen

    def write_evidence(self, release_id: str, text: str) -> None:
        self.evidence[release_id] = text

    def request(self) -> Request | None:
        return self.beside.get("request")

    def forget_request(self, request: Request) -> None:
        if self.beside.get("request") == request:
            del self.beside["request"]

    def freeze(self) -> Freeze | None:
        return self.beside.get("freeze")

    def ask(self, kind: str, number: int = 1, by: str = "ann") -> Request:
        """A person's word to the release that runs."""
        running = self.other_process().load().current
        assert running is not None
        request = Request(f"{kind}-{number}", kind, running.id, by, 0.0)
        self.beside["request"] = request
        return request

    def other_process(self) -> FakeHistory:
        return FakeHistory(self.shared, self.evidence, self.beside)
