"""The stack's configuration: reads ``pulumi.Config``, alone, and reports every problem at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from contracts.errors import SlipwayError
from contracts.package import load_package as load_package_folder
from infra.image_build_config import read_image_build
from infra.lines import line_of
from infra.model_config import SHARED_KEYS, LoadPackage, ModelReader
from infra.reading import Layer, Node, Problems
from infra.settings import LAMBDA_DRIVER, TERMINAL_DRIVER, StackConfig

if TYPE_CHECKING:
    import pulumi

NAMESPACE = "slipway"
# Releases of the stack on a person's machine are driven from there.
LOCAL_STACK = "local"
ROOT_KEYS = (":controller", ":defaults", ":imageBuild", ":models")


class ConfigError(SlipwayError):
    """The stack's configuration has problems; ``problems`` holds one line for each.

    ``file`` is where they stand: its lines are told where it can be read.
    """

    def __init__(self, stack: str, problems: list[str], file: Path) -> None:
        self.problems = tuple(problems)
        numbered = [(line_of(file, problem.partition(" ")[0]), problem) for problem in problems]
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        lines = "\n".join(
            f"  - {problem}" if line is None else f"  - line {line}: {problem}"
            for line, problem in numbered
        )
        super().__init__(f"Pulumi.{stack}.yaml has {count}:\n{lines}")


def load(config: pulumi.Config, stack: str, project_root: Path, local_image: str) -> StackConfig:
    """What the stack file says, as Pulumi hands it over.

    Raises:
        ConfigError: it has problems, all of them listed.
    """
    import pulumi
    from pulumi.runtime.config import CONFIG, get_config_env

    prefix = f"{config.name}:"
    # The first holds an inline program's values, the second those of a program that the CLI runs.
    present = {*CONFIG.get(), *get_config_env()}
    keys = {key.removeprefix(prefix) for key in present if key.startswith(prefix)}
    raw: dict[str, Any] = {}
    for key in sorted(keys):
        try:
            raw[key] = config.get_object(key)
        except pulumi.ConfigTypeError:
            # Plain text is no JSON; `parse` says what is wrong with it.
            raw[key] = config.get(key)
    return parse(raw, stack, project_root, local_image)


def parse(
    raw: Mapping[str, Any],
    stack: str,
    project_root: Path,
    local_image: str,
    load_package: LoadPackage = load_package_folder,
) -> StackConfig:
    """The configuration of ``stack`` from the values below ``slipway:``.

    Raises:
        ConfigError: it has problems, all of them listed.
    """
    problems = Problems()
    root = Node((Layer(NAMESPACE, _with_colons(raw)),), problems)
    _check_root(root)
    defaults = root.child(":defaults")
    defaults.only(*SHARED_KEYS)
    image_build = read_image_build(root.child(":imageBuild"), stack)
    readers = [
        ModelReader(node, name, stack, project_root, local_image)
        for name, node in _layered_models(root.child(":models"), defaults)
    ]
    # A new stack, whose project is to build the first image.
    waits = image_build is not None and not any(reader.has_image for reader in readers)
    read = [reader.read(load_package, needs_image=not waits) for reader in readers]
    models = () if waits else tuple(model for model in read if model is not None)
    _check_distinct([(reader.name, reader.endpoint_name) for reader in readers], problems)
    driver = read_driver(root.child(":controller"), stack)
    if problems.found:
        found = [p.replace("slipway.:", "slipway:") for p in problems.found]
        raise ConfigError(stack, found, project_root / f"Pulumi.{stack}.yaml")
    return StackConfig(stack, models, driver, image_build, waits)


def _with_colons(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Keys as the stack file writes them, so that paths read ``slipway:models.…``."""
    return {f":{key}": value for key, value in raw.items()}


def _check_root(root: Node) -> None:
    for key, value in root.layers[0].values.items():
        if key not in ROOT_KEYS:
            root.problems.add(
                f"{root.path}.{key}",
                value,
                f"there is no such key, the keys are {', '.join(NAMESPACE + k for k in ROOT_KEYS)}",
                "correct its spelling or remove it",
            )
    models = root.layers[0].values.get(":models")
    if models is None or models == {}:
        root.problems.add(
            f"{root.path}.:models",
            models,
            "a map with at least one model is needed",
            "write `slipway:models: {NAME: {package: dist/NAME/VERSION}}`",
        )


def read_driver(node: Node, stack: str) -> str:
    """What drives the releases of ``stack``."""
    node.only("driver")
    default = TERMINAL_DRIVER if stack == LOCAL_STACK else LAMBDA_DRIVER
    return node.choice("driver", default, (TERMINAL_DRIVER, LAMBDA_DRIVER))


def _layered_models(named: Node, defaults: Node) -> Iterator[tuple[str, Node]]:
    for name in named.layers[0].values:
        node = _layered(named, str(name), defaults)
        if node is not None:
            yield str(name), node


def _layered(named: Node, name: str, defaults: Node) -> Node | None:
    """One model's own values over the defaults; None where they are no map."""
    path, value = f"{named.path}.{name}", named.layers[0].values[name]
    if not isinstance(value, Mapping):
        named.problems.add(path, value, "a map is allowed", "write `package: dist/…` under it")
        return None
    own = Layer(path, cast("Mapping[str, Any]", value))
    own_node = Node((own,), named.problems)
    own_node.only("package", *SHARED_KEYS)
    return Node((own, *defaults.layers), named.problems)


def _check_distinct(endpoint_names: list[tuple[str, str]], problems: Problems) -> None:
    seen: dict[str, str] = {}
    for model, endpoint_name in endpoint_names:
        # SageMaker's names are one where they differ in case only (fact 3.3).
        other = seen.setdefault(endpoint_name.lower(), model)
        if other != model:
            problems.add(
                f"{NAMESPACE}.:models.{model}.endpoint.name",
                endpoint_name,
                f"model {other} has the same endpoint name",
                "give one of them another name",
            )
