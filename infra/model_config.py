"""One model of the stack's configuration."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from contracts.errors import SlipwayError
from contracts.package import PackageManifest
from contracts.release_manifest import ErrorGate, Gate, LatencyGate
from contracts.variables import LOCK_SHA256, MANIFEST_SHA256
from infra.code_config import refuse_code
from infra.reading import Node
from infra.release_config import read_release
from infra.settings import DEFAULT_INSTANCE_TYPE, ModelConfig, ModelPackage, Scaling
from monitoring.alarms import AlarmLimits

LOCAL_STACK = "local"
LOCAL_IMAGE_VARIABLE = "SLIPWAY_LOCAL_IMAGE"
# The server checks archive and environment against them; `infra.model` sets them from the package.
OWN_VARIABLES = (MANIFEST_SHA256, LOCK_SHA256)
# SageMaker's names (fact 11); a model's name leaves room for a hash and Pulumi's random suffix.
ENDPOINT_NAME = r"(?=.{1,63}$)[a-zA-Z0-9](-*[a-zA-Z0-9])*"
MODEL_NAME = r"(?=.{1,45}$)[a-zA-Z0-9](-?[a-zA-Z0-9])*"
INSTANCE_TYPE = r"ml\.[a-z0-9-]+\.[a-z0-9-]+"
MAX_VARIABLE = 1024
VARIABLE_NAME = rf"(?=.{{1,{MAX_VARIABLE}}}$)[a-zA-Z_][a-zA-Z0-9_]*"
IMAGE = r"[^@\s]+@sha256:[0-9a-f]{64}"
SHARED_KEYS = ("image", "instanceType", "environment", "capture", "endpoint", "alarms", "release")
MAX_INSTANCES = 1000

LoadPackage = Callable[[Path], PackageManifest]


class ModelReader:
    """Reads one model; its methods note problems and go on."""

    def __init__(self, node: Node, name: str, stack: str, root: Path, local_image: str) -> None:
        self._node = node
        self.name = name
        self._stack = stack
        self._root = root
        self._local_image = local_image
        self._problems = node.problems
        self.endpoint_name = f"{name}-{stack}"

    @property
    def has_image(self) -> bool:
        """Whether something is written for an image, or none is needed."""
        return self._stack == LOCAL_STACK or self._node.find("image")[1] is not None

    def read(self, load_package: LoadPackage, *, needs_image: bool = True) -> ModelConfig | None:
        """The model; None where so much is wrong that none can be made."""
        endpoint = self._node.child("endpoint")
        endpoint.only("name", "instances", "scaling")
        package = self._package(load_package)
        scaling = _read_scaling(endpoint)
        alarms = _read_alarms(self._node.child("alarms"))
        instance_type = self._node.text(
            "instanceType",
            DEFAULT_INSTANCE_TYPE,
            INSTANCE_TYPE,
            "an instance type of SageMaker is allowed",
            f"write one such as {DEFAULT_INSTANCE_TYPE}",
        )
        self.endpoint_name = self._endpoint_name(endpoint)
        image, environment = self._image(needs_image), self._environment()
        capture = self._capture()
        refuse_code(self._node, package, environment)
        gates: tuple[Gate, ...] = (ErrorGate(), LatencyGate(alarms.p95_latency_us))
        release = read_release(self._node.child("release"), gates)
        if package is None:
            return None
        return ModelConfig(
            self.name,
            self.endpoint_name,
            package,
            image,
            instance_type,
            environment,
            capture,
            scaling,
            alarms,
            release,
        )

    def _endpoint_name(self, endpoint: Node) -> str:
        if re.fullmatch(MODEL_NAME, self.name) is None:
            self._problems.add(
                self._node.path,
                self.name,
                "a model's name has letters, digits and single hyphens between them, at most 45",
                "rename it; a registered model `my_model` is written `my-model` here",
            )
        default = f"{self.name}-{self._stack}"
        path, value = endpoint.find("name")
        if value is None and re.fullmatch(MODEL_NAME, self.name) is None:
            return default
        name = default if value is None else value
        if not isinstance(name, str) or re.fullmatch(ENDPOINT_NAME, name) is None:
            self._problems.add(
                path,
                name,
                "SageMaker allows letters, digits and hyphens between them, at most 63 in all",
                "write a shorter or simpler endpoint.name",
            )
            return default
        return name

    def _package(self, load_package: LoadPackage) -> ModelPackage | None:
        path, value = self._node.find("package")
        if not isinstance(value, str) or not value:
            self._problems.add(
                path,
                value,
                "a folder with manifest.json is needed",
                f"make one with `slipway package {self.name}/VERSION` and name it",
            )
            return None
        if "://" in value:
            self._problems.add(
                path,
                value,
                "a folder of this machine is allowed",
                "copy the package's folder here and name that",
            )
            return None
        folder = (self._root / value).resolve()
        try:
            manifest = load_package(folder)
        except SlipwayError as error:
            self._problems.add(path, value, "the package cannot be used", str(error))
            return None
        if self.name not in (manifest.model, re.sub(r"[^a-zA-Z0-9]+", "-", manifest.model)):
            self._problems.add(
                path,
                value,
                f"it holds the model {manifest.model!r}, not {self.name!r}",
                "name a package of this model, or write it under its own name",
            )
        return ModelPackage(folder, manifest)

    def _image(self, is_needed: bool) -> str:
        path, value = self._node.find("image")
        if self._stack == LOCAL_STACK:
            if value is not None:
                self._problems.add(
                    path,
                    value,
                    "the stack local runs its own model server and takes no image",
                    "remove it",
                )
            if re.fullmatch(IMAGE, self._local_image) is None:
                self._problems.add(
                    f"the variable {LOCAL_IMAGE_VARIABLE}",
                    self._local_image or None,
                    "the local cloud's image with its digest is needed",
                    'use `slipway up`, or first run `eval "$(slipway env local)"`',
                )
            return self._local_image
        if value is None and not is_needed:
            return ""
        if not isinstance(value, str) or re.fullmatch(IMAGE, value) is None:
            self._problems.add(
                path,
                value,
                "an image pinned by its digest, REPOSITORY@sha256:…, is needed",
                "push the model server's image and write the digest that the push printed",
            )
            return ""
        return value

    def _environment(self) -> dict[str, str]:
        node = self._node.child("environment")
        found: dict[str, str] = {}
        for layer in reversed(node.layers):
            for key, value in layer.values.items():
                path = f"{layer.path}.{key}"
                if key in OWN_VARIABLES:
                    allowed = "Slipway sets this variable itself, from the package"
                    self._problems.add(path, value, allowed, "remove it")
                elif not isinstance(value, str):
                    self._problems.add(path, value, "text is allowed", "put it in quotes")
                elif re.fullmatch(VARIABLE_NAME, key) is None or len(value) > MAX_VARIABLE:
                    self._problems.add(
                        path,
                        value,
                        "SageMaker allows letters, digits and underscores in a variable's name, no "
                        f"digit first, and {MAX_VARIABLE} characters in name and value",
                        "change it",
                    )
                else:
                    found[key] = value
        return found

    def _capture(self) -> int | None:
        node = self._node.child("capture")
        node.only("sampling")
        percent = node.integer("sampling", 0, 0, 100)
        return percent or None


def _read_scaling(endpoint: Node) -> Scaling:
    default = Scaling()
    instances = endpoint.child("instances")
    instances.only("min", "max")
    least = instances.integer("min", default.min_instances, 2, MAX_INSTANCES)
    most = instances.integer("max", max(default.max_instances, least), 2, MAX_INSTANCES)
    if most < least:
        path, value = instances.find("max")
        instances.problems.add(path, value, f"at least min, {least}, is allowed", "raise it")
    scaling = endpoint.child("scaling")
    scaling.only("invocationsPerInstance", "scaleInCooldown", "scaleOutCooldown")
    return Scaling(
        least,
        most,
        scaling.number("invocationsPerInstance", default.invocations_per_instance, 1),
        round(scaling.seconds("scaleInCooldown", default.scale_in_cooldown_seconds)),
        round(scaling.seconds("scaleOutCooldown", default.scale_out_cooldown_seconds)),
    )


def _read_alarms(node: Node) -> AlarmLimits:
    default = AlarmLimits()
    node.only("errors", "latency")
    return AlarmLimits(
        node.number("errors", default.error_fraction, 0, 1),
        node.microseconds("latency", default.p95_latency_us),
    )
