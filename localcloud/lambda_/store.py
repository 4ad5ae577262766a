"""The functions that exist: versions, aliases, policies. Plain data with its look-ups. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from localcloud.lambda_.policies import Statement
from localcloud.lambda_.spec import FunctionSpec
from localcloud.service import ACCOUNT_ID, ServiceError

LATEST = "$LATEST"
Config = dict[str, Any]
_NAME = re.compile(
    r"(?:arn:aws[a-z-]*:lambda:(?P<region>[\w-]+):(?P<account>\d{12}):function:"
    r"|(?P<short>\d{12}):function:)?(?P<name>[\w-]{1,64})(?::(?P<qualifier>[\w$-]+))?"
)


@dataclass
class Function:
    """One function in one region; a configuration is what GetFunctionConfiguration answers."""

    name: str
    region: str
    latest: Config
    versions: dict[str, Config] = field(default_factory=dict[str, Config])
    aliases: dict[str, Config] = field(default_factory=dict[str, Config])
    policies: dict[str, list[Statement]] = field(default_factory=dict[str, list[Statement]])
    invoke_configs: dict[str, Config] = field(default_factory=dict[str, Config])
    tags: dict[str, str] = field(default_factory=dict[str, str])
    reserved: int | None = None
    next_version: int = 1

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{ACCOUNT_ID}:function:{self.name}"

    def qualified(self, qualifier: str | None) -> str:
        return self.arn if qualifier is None else f"{self.arn}:{qualifier}"

    def config(self, qualifier: str | None) -> Config:
        """The configuration that a version or alias names.

        Raises:
            ServiceError: ``ResourceNotFoundException``.
        """
        found: Config | None
        if qualifier in (None, LATEST):
            found = self.latest
        else:
            alias = self.aliases.get(str(qualifier))
            version = alias["FunctionVersion"] if alias else str(qualifier)
            found = self.latest if version == LATEST else self.versions.get(version)
        if found is None:
            raise not_found(self.qualified(qualifier))
        return found

    def spec(self, qualifier: str | None) -> FunctionSpec:
        """What is run when ``qualifier`` is invoked."""
        config = self.config(qualifier)
        variables = (config.get("Environment") or {}).get("Variables") or {}
        return FunctionSpec(
            name=self.name,
            arn=self.qualified(qualifier),
            region=self.region,
            version=config["Version"],
            revision=config["RevisionId"],
            handler=config["Handler"],
            timeout=int(config["Timeout"]),
            memory=int(config["MemorySize"]),
            environment=tuple(sorted(variables.items())),
            code=config["_code"],
            reserved=self.reserved,
        )


@dataclass
class Store:
    """All functions by region and name; the caller holds the lock."""

    functions: dict[tuple[str, str], Function] = field(
        default_factory=dict[tuple[str, str], Function]
    )

    def find(
        self, reference: str, region: str, qualifier: str | None = None
    ) -> tuple[Function, str | None]:
        """A function by name or ARN, and the qualifier that is part of it or beside it.

        Raises:
            ServiceError: ``ResourceNotFoundException`` and, for no name at all,
                ``ValidationException``.
        """
        found = _NAME.fullmatch(reference)
        if found is None:
            raise ServiceError(
                "ValidationException",
                f"1 validation error detected: Value '{reference}' at 'functionName' failed to "
                f"satisfy constraint: Member must satisfy regular expression pattern: "
                f"{_NAME.pattern}",
            )
        inner = found["qualifier"]
        if inner is not None and qualifier is not None and inner != qualifier:
            raise ServiceError(
                "InvalidParameterValueException",
                "The derived qualifier from the function name does not match the specified "
                "qualifier.",
            )
        function = self.functions.get((found["region"] or region, found["name"]))
        if function is None:
            name = f"function:{found['name']}"
            suffix = f":{inner or qualifier}" if inner or qualifier else ""
            place = found["region"] or region
            raise not_found(f"arn:aws:lambda:{place}:{ACCOUNT_ID}:{name}{suffix}")
        return function, inner or qualifier

    def codes(self) -> set[str]:
        """The archives that are still needed."""
        return {
            config["_code"]
            for function in self.functions.values()
            for config in (function.latest, *function.versions.values())
        }


def not_found(arn: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", f"Function not found: {arn}", 404)


def shown(config: Config) -> Config:
    """The configuration without what only this cloud knows."""
    return {key: value for key, value in config.items() if not key.startswith("_")}
