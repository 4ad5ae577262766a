"""docker, podman and buildah behind one interface: build, log in, push."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import SlipwayError

ENGINES = ("docker", "podman", "buildah")
# No engine here: the stack's project in AWS (``scripts.image.codebuild``).
CODEBUILD = "codebuild"
# docker's client may be there without its daemon.
PROBES = {
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "podman": ("--version",),
    "buildah": ("--version",),
}
PROBE_SECONDS = 20.0
# SageMaker takes neither an OCI manifest nor an index (aws/amazon-sagemaker-feedback#180), which
# podman and buildah make by default, and docker with containerd's image store.
AS_DOCKER = {
    "docker": ("--output", "type=docker,oci-mediatypes=false"),
    "podman": ("--format", "docker"),
    "buildah": ("--format", "docker"),
}
PUSH_AS_DOCKER = ("--format", "v2s2")
# The Dockerfile mounts a secret; attestations would make an index of the image.
ENVIRONMENT = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
PUSHED = re.compile(r"digest: (sha256:[0-9a-f]{64})")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
REASON = 200


class EngineError(SlipwayError):
    """No engine can build here, or the one that is there failed."""


@dataclass(frozen=True)
class ContainerEngine:
    """One of :data:`ENGINES` that works here; ``path`` is its program."""

    name: str
    path: str

    def build(
        self,
        context: Path,
        tag: str,
        platform: str,
        arguments: Mapping[str, str],
        secrets: Mapping[str, Path],
    ) -> str:
        """Build ``inference/Dockerfile`` of ``context`` as ``tag``; returns the image's id."""
        with tempfile.TemporaryDirectory(prefix="slipway-image-") as scratch:
            said = Path(scratch) / "id"
            command = ["build", "--file", str(context / "inference" / "Dockerfile")]
            command += ["--tag", tag, "--iidfile", str(said)]
            command += ["--platform", platform, *AS_DOCKER[self.name]]
            for name, value in arguments.items():
                command += ["--build-arg", f"{name}={value}"]
            for name, file in secrets.items():
                command += ["--secret", f"id={name},src={file}"]
            self._run([*command, str(context)])
            return said.read_text().strip()

    def login(self, registry: str, user: str, password: str) -> None:
        """Log in; the password goes over stdin, where no list of processes shows it."""
        command = ["login", "--username", user, "--password-stdin", registry]
        self._run(command, stdin=password)

    def push(self, tag: str, target: str) -> str:
        """Push what is tagged ``tag`` as ``target``; returns the digest that the registry has."""
        if self.name == "docker":
            self._run(["tag", tag, target])
            found = PUSHED.search(self._run(["push", target]))
            return self._checked(found[1] if found else "")
        with tempfile.TemporaryDirectory(prefix="slipway-image-") as scratch:
            said = Path(scratch) / "digest"
            told = ["--digestfile", str(said), *PUSH_AS_DOCKER]
            self._run(["push", *told, tag, f"docker://{target}"])
            return self._checked(said.read_text().strip() if said.is_file() else "")

    def _checked(self, digest: str) -> str:
        if DIGEST.fullmatch(digest) is None:
            raise EngineError(
                f"{self.name} pushed the image and told no digest ({digest[:64]!r}); "
                "look it up in the registry, and write it into the stack's file"
            )
        return digest

    def _run(self, arguments: Sequence[str], stdin: str = "") -> str:
        """What the engine says, shown on stderr meanwhile."""
        with tempfile.TemporaryFile("w+") as given:
            given.write(stdin)
            given.seek(0)
            process = subprocess.Popen(
                [self.path, *arguments],
                env={**os.environ, **ENVIRONMENT},
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            assert process.stdout is not None
            lines: list[str] = []
            for line in process.stdout:
                sys.stderr.write(line)
                lines.append(line)
            code = process.wait()
        if code:
            last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
            raise EngineError(
                f"{self.name} {arguments[0]} ended with {code}, it said last: {_end(last)}; "
                "what it said before stands above"
            )
        return "".join(lines)


def _end(line: str) -> str:
    return line if len(line) <= REASON else f"…{line[-REASON:]}"


def find_engine(wanted: str | None = None) -> ContainerEngine:
    """The engine ``wanted``, else the first of :data:`ENGINES` that works here.

    Raises:
        EngineError: there is none; says of each why.
    """
    if wanted is not None and wanted not in ENGINES:
        raise EngineError(
            f"the builder is {wanted[:64]!r}; one of {', '.join((*ENGINES, CODEBUILD))} is needed"
        )
    reasons: list[str] = []
    for name in ENGINES if wanted is None else (wanted,):
        path = shutil.which(name)
        if path is None:
            reasons.append(f"{name} is not installed")
            continue
        problem = _problem(name, path)
        if problem is None:
            return ContainerEngine(name, path)
        reasons.append(f"{name} does not work ({problem})")
    raise EngineError(
        f"an image cannot be built here: {', '.join(reasons)}; install one of docker, podman or "
        "buildah (apt-get install buildah), start docker's daemon, or build in AWS with --builder "
        f"{CODEBUILD}"
    )


def _problem(name: str, path: str) -> str | None:
    try:
        asked = subprocess.run(
            [path, *PROBES[name]],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)[-REASON:]
    if asked.returncode == 0:
        return None
    said = (asked.stderr or asked.stdout).strip().splitlines() or [f"exit code {asked.returncode}"]
    return said[-1][-REASON:]
