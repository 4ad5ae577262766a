"""The operations on resources, over plain values: what the protocol's server calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from localcloud.provider import inputs as recovered
from localcloud.provider import tags
from localcloud.provider.check import CheckContext, Failure, check
from localcloud.provider.coerce import coerce_object
from localcloud.provider.diff import Difference, diff, is_empty, restore_ignored
from localcloud.provider.equivalence import COMPARISONS
from localcloud.provider.errors import (
    PartialError,
    ProviderError,
    UnknownTypeError,
    aws_text,
)
from localcloud.provider.naming import NameRequest
from localcloud.provider.resources.base import Call, Resource
from localcloud.provider.resources.registry import RESOURCES
from localcloud.provider.schema import ResourceType, resource_type
from localcloud.provider.session import Session
from localcloud.provider.values import DEFAULTS_KEY, UNKNOWN, Properties

_T = TypeVar("_T")
# What names a resource in a message before it has an id.
NAMING_PROPERTIES = (
    "alarmName",
    "dashboardName",
    "bucket",
    "resourceId",
    "role",
    "topic",
    "rule",
    "arn",
)


@dataclass(frozen=True)
class Found:
    """What a reading found; ``id`` is empty when there is nothing."""

    id: str
    state: Properties
    inputs: Properties


class Lifecycle:
    """One resource type for one configured connection."""

    def __init__(self, token: str, session: Session) -> None:
        found, handler = resource_type(token), RESOURCES.get(token)
        if found is None or handler is None:
            raise UnknownTypeError("resource type", token)
        self._type: ResourceType = found
        self._handler: Resource = handler
        self._session = session

    def check(
        self, news: Properties, olds: Properties, name: NameRequest
    ) -> tuple[Properties, list[Failure]]:
        context = CheckContext(self._session.region, self._session.settings.tags, name)
        return check(self._type, news, olds, context)

    def diff(self, state: Properties, news: Properties, ignored: Sequence[str]) -> Difference:
        return diff(self._type, state, news, ignored)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The properties that only the cloud sets; none of them changes in place."""
        return self._type.outputs

    def preview_create(self, news: Properties) -> Properties:
        """The inputs, and what only the cloud will know as unknown."""
        kept = {
            name: prop
            for name, prop in self._type.inputs.items()
            if prop.computed and name not in news
        }
        return {**_clean(news), **dict.fromkeys((*self._type.outputs, *kept), UNKNOWN)}

    def create(self, news: Properties, timeout_seconds: float | None) -> tuple[str, Properties]:
        """Make it.

        Raises:
            PartialError: it exists, but something after its creation failed.
        """
        call = self._call("", self._wanted(news), {}, timeout_seconds)
        try:
            self._worded("creating", call, lambda: self._handler.create(call))
            return call.id, self._read_after(call, "creating")
        except ProviderError as error:
            if not call.id:
                raise
            raise self._partial(call, error, news) from error

    def read(self, resource_id: str, state: Properties, old_inputs: Properties) -> Found:
        """What the cloud has now, for a refresh; without state and inputs, for an import."""
        importing = not state
        if importing:
            state = self._handler.import_state(resource_id)
        region = {} if "region" in state else {"region": self._session.region}
        call = self._call(resource_id, {}, {**self._typed(state), **region}, None)
        found = self._worded("reading", call, lambda: self._found(call))
        if found is None:
            return Found("", {}, {})
        if importing:
            return Found(self._id_of(resource_id, found), found, self._imported(found))
        followed = recovered.followed(self._type, old_inputs, found)
        return Found(resource_id, found, followed)

    def preview_update(
        self, state: Properties, news: Properties, ignored: Sequence[str]
    ) -> Properties:
        """The state after the update, as far as it can be known before."""
        changed = diff(self._type, state, news, ignored).properties
        wanted = _clean(restore_ignored(news, state, ignored))
        result = {k: v for k, v in state.items() if k not in changed or k in wanted} | wanted
        unknown = self._handler.unknown_with(changed - {"tags", "tagsAll"}, wanted)
        return result | dict.fromkeys(unknown, UNKNOWN)

    def update(
        self,
        resource_id: str,
        state: Properties,
        news: Properties,
        ignored: Sequence[str],
        timeout_seconds: float | None,
    ) -> Properties:
        """Change what differs, and nothing that is ignored."""
        changed = diff(self._type, state, news, ignored).properties
        wanted = self._wanted(restore_ignored(news, state, ignored))
        call = self._call(resource_id, wanted, self._typed(state), timeout_seconds)
        try:
            if "tagsAll" in changed:
                added, removed = tags.changes(state.get("tagsAll") or {}, call.tags)
                self._worded(
                    "updating tags for", call, lambda: self._handler.tag(call, added, removed)
                )
            rest = changed - {"tags", "tagsAll", "region"}
            if rest:
                self._worded("updating", call, lambda: self._handler.update(call, rest))
            return self._read_after(call, "updating")
        except ProviderError as error:
            raise self._partial(call, error, news) from error

    def delete(self, resource_id: str, state: Properties, timeout_seconds: float | None) -> None:
        """Take it away; not finding it is success, save where the real provider says no."""
        from botocore.exceptions import ClientError

        call = self._call(resource_id, {}, self._typed(state), timeout_seconds)

        def delete() -> None:
            try:
                self._handler.delete(call)
            except ClientError as error:
                handler = self._handler
                if not handler.is_gone(error) or handler.keeps_delete_error(error):
                    raise

        self._worded("deleting", call, delete)

    def _call(
        self,
        resource_id: str,
        wanted: Properties,
        state: Properties,
        timeout_seconds: float | None,
    ) -> Call:
        return Call(self._type, self._session, wanted, state, resource_id, timeout_seconds)

    def _wanted(self, news: Properties) -> Properties:
        return coerce_object(self._type.inputs, news)

    def _typed(self, state: Properties) -> Properties:
        """The state with its inputs in their types, and its outputs as they are."""
        known = {name: value for name, value in state.items() if name in self._type.inputs}
        return {**state, **coerce_object(self._type.inputs, known)}

    def _found(self, call: Call) -> Properties | None:
        """The whole state: what the cloud says over what only Pulumi knows."""
        from botocore.exceptions import ClientError

        try:
            found = self._handler.read(call)
        except ClientError as error:
            if self._handler.is_gone(error):
                return None
            raise
        if found is None:
            return None
        known = call.known
        result = {n: known[n] for n in self._type.keeps if known.get(n) is not None}
        result |= {name: value for name, value in found.items() if value is not None}
        if self._type.regional:
            result["region"] = call.region
        if self._type.tagged:
            settings = self._session.settings.tags
            own = known.get("tags") or {}
            result["tags"], result["tagsAll"] = tags.read_back(
                settings, found.get("tagsAll") or {}, own
            )
        return self._as_written(result, known)

    def _as_written(self, found: Properties, known: Properties) -> Properties:
        """Texts that mean what the known ones mean stay as they were written."""
        for name, prop in self._type.inputs.items():
            before, now = known.get(name), found.get(name)
            if not prop.equal or not isinstance(before, str) or not isinstance(now, str):
                continue
            if not is_empty(before) and COMPARISONS[prop.equal](before, now):
                found[name] = before
        return found

    def _read_after(self, call: Call, verb: str) -> Properties:
        found = self._worded("reading", call, lambda: self._found(call))
        if found is None:
            raise ProviderError(f"{verb} {self._subject(call)}: couldn't find resource")
        return found

    def _partial(self, call: Call, error: ProviderError, news: Properties) -> PartialError:
        """The failure together with what stands in the cloud now."""
        try:
            found = self._found(call)
        except Exception as unreadable:  # noqa: BLE001 - the first error is the one to tell
            found = None
            error = ProviderError(f"{error}; and reading it afterwards failed: {unreadable}")
        state = found if found is not None else call.state or call.inputs
        return PartialError(str(error), call.id, state, news)

    def _imported(self, found: Properties) -> Properties:
        return recovered.imported(self._type, found)

    def _id_of(self, resource_id: str, found: Properties) -> str:
        """The id that the state keeps of what an import named."""
        return self._handler.imported_id(resource_id, found)

    def _worded(self, verb: str, call: Call, action: Callable[[], _T]) -> _T:
        """Run, and word botocore's and the handler's errors as the real provider does."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return action()
        except (ClientError, BotoCoreError, OSError) as error:
            service: Any = call.client().meta.service_model.service_id
            raise ProviderError(
                f"{verb} {self._subject(call)}: {aws_text(str(service), error)}"
            ) from error
        except ProviderError as error:
            raise ProviderError(f"{verb} {self._subject(call)}: {error}") from error

    def _subject(self, call: Call) -> str:
        rule = self._type.autoname
        named = (rule.property if rule else "", *NAMING_PROPERTIES)
        name = call.id or next((call.known[n] for n in named if call.known.get(n)), "")
        return f"{self._type.title} ({name})" if name else self._type.title


def _clean(value: Any) -> Any:
    """Without the bridge's lists of defaults."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if key != DEFAULTS_KEY}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
