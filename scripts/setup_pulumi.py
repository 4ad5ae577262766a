"""Finds the Pulumi CLI, or builds it: part of ``make setup``, runs before anything else may exist.

A ``pulumi`` on PATH that is new enough is used as it is. Otherwise the CLI (and the language host
that a plain ``pulumi up`` needs) is built from the pinned Go modules of ``tools/pulumi``, once for
each user.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from contracts.errors import SlipwayError

VERSION = "3.259.0"
MIN_GO = (1, 25, 11)
ROOT = Path(__file__).resolve().parents[1]
VERSION_FLAG = f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{VERSION}"
CLI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
HOST_PACKAGE = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
HOST_SCRIPT = "python/cmd/pulumi-language-python-exec"
THREE_WAYS = (
    f"install Pulumi {VERSION} or newer (https://www.pulumi.com/docs/install), "
    f"or Go {'.'.join(map(str, MIN_GO))} or newer to build it, "
    f"or copy a pulumi binary of version {VERSION} to "
)
Say = Callable[[str], None]


class PulumiSetupError(SlipwayError):
    """There is no usable Pulumi CLI, and none could be built."""


def cache_folder() -> Path:
    """Where this user's own build lies; ``XDG_CACHE_HOME`` is honoured."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "slipway" / f"pulumi-v{VERSION}" / "bin"


def version_of(command: Path) -> tuple[int, ...] | None:
    """The version that a ``pulumi`` reports; None where it reports none."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run(
            [str(command), "version"],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"v?(\d+)\.(\d+)\.(\d+)", done.stdout)
    return tuple(map(int, match.groups())) if match else None


def needed() -> tuple[int, ...]:
    return tuple(map(int, VERSION.split(".")))


def find() -> Path | None:
    """A ``pulumi`` that is new enough: on PATH, else this user's own build."""
    on_path = shutil.which("pulumi")
    own = cache_folder() / "pulumi"
    for candidate in (Path(on_path) if on_path else None, own):
        if candidate is not None and candidate.is_file():
            version = version_of(candidate)
            if version is not None and version >= needed():
                return candidate
    return None


def too_old_on_path() -> str | None:
    """One line about a ``pulumi`` on PATH that cannot be used; None where there is none."""
    on_path = shutil.which("pulumi")
    if on_path is None:
        return None
    version = version_of(Path(on_path))
    if version is not None and version >= needed():
        return None
    shown = "no version" if version is None else "v" + ".".join(map(str, version))
    return f"{on_path} is {shown}; v{VERSION} or newer is needed"


def ensure(say: Say) -> Path:
    """A usable ``pulumi``, built if there is none; two set-ups at once build one."""
    found = find()
    if found is not None:
        say(f"pulumi: {found}")
        return found
    old = too_old_on_path()
    if old is not None:
        say(f"pulumi: {old}; building our own")
    folder = cache_folder()
    go = _go(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "pulumi").is_file() and version_of(folder / "pulumi"):
            return folder / "pulumi"
        _build_all(go, folder, say)
    return folder / "pulumi"


def _go(folder: Path) -> str:
    go = shutil.which("go")
    if go is None:
        old = too_old_on_path()
        missing = f"{old}, and there is no Go" if old else "neither pulumi nor Go is on PATH"
        raise PulumiSetupError(f"{missing}; {THREE_WAYS}{folder}")
    done = subprocess.run([go, "version"], capture_output=True, text=True, check=False)
    match = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", done.stdout)
    numbers = match.groups() if match else ("0", "0", "0")
    version = (int(numbers[0]), int(numbers[1]), int(numbers[2] or 0))
    if version < MIN_GO:
        shown = ".".join(map(str, version))
        raise PulumiSetupError(
            f"{go} is Go {shown}, and {too_old_on_path() or 'no pulumi is on PATH'}; "
            f"{THREE_WAYS}{folder}"
        )
    return go


def _build_all(go: str, folder: Path, say: Say) -> None:
    modules = ROOT / "tools" / "pulumi"
    _build(go, modules / "language", HOST_PACKAGE, folder / "pulumi-language-python", say)
    source = _module_folder(go, modules / "cli") / HOST_SCRIPT
    script = folder / "pulumi-language-python-exec"
    shutil.copyfile(source, script)
    script.chmod(0o755)
    # The CLI comes last: where it stands, all of it stands.
    _build(go, modules / "cli", CLI_PACKAGE, folder / "pulumi", say)


def _build(go: str, module: Path, package: str, target: Path, say: Say) -> None:
    """Build into a temporary file beside ``target``; it appears only when it is complete."""
    name = target.name
    say(f"building {name} from pinned Go modules (the first time this takes some minutes)")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as scratch:
        output = Path(scratch) / name
        flags = ["-mod=readonly", "-trimpath", "-ldflags", f"-s -w {VERSION_FLAG}"]
        process = subprocess.Popen(
            [go, "build", *flags, "-o", str(output), package],
            cwd=module,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "GOFLAGS": "", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        )
        _, errors = process.communicate()
        if process.returncode != 0:
            raise PulumiSetupError(_explain(name, errors))
        output.chmod(0o755)
        os.replace(output, target)
    say(f"built {name} in {time.monotonic() - began:.0f} s")


def _explain(name: str, errors: str) -> str:
    lines = [line for line in errors.splitlines() if line.strip()]
    last = lines[-1] if lines else "no output"
    unreachable = (
        "dial tcp",
        "no such host",
        "module lookup disabled",
        "i/o timeout",
        "proxyconnect",
    )
    if any(sign in errors for sign in unreachable):
        return (
            f"{name} could not be built: Go cannot reach its module proxy ({last}); check the "
            "network and GOPROXY, then run `make setup` again: it goes on where it stopped"
        )
    return f"{name} could not be built: {last}; {THREE_WAYS}{cache_folder()}"


def _module_folder(go: str, module: Path) -> Path:
    """Where the SDK's sources lie; downloaded and checked if they are not there."""
    done = subprocess.run(
        [go, "mod", "download", "-json", "github.com/pulumi/pulumi/sdk/v3"],
        cwd=module,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOFLAGS": "", "GOTOOLCHAIN": "local"},
    )
    told: dict[str, str] = json.loads(done.stdout) if done.stdout.strip() else {}
    if done.returncode != 0 or "Dir" not in told:
        raise PulumiSetupError(_explain("pulumi-language-python", told.get("Error") or done.stderr))
    return Path(told["Dir"])


def main() -> None:
    try:
        ensure(lambda text: print(text, flush=True))
    except SlipwayError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
