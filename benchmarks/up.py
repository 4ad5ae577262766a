"""``slipway up`` (engine in this process, program inline) beside a plain ``pulumi up``.

Both run the same program on the same engine, each against a local cloud of its own: the first `up`,
one that changes nothing, and one that changes an alarm's threshold.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.project import configure, running, train_and_package

ROUNDS = 5
Up = Callable[[Path], None]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as scratch:
        package = train_and_package(Path(scratch))
        ours, plain = measure(package, slipway_up), measure(package, pulumi_up)
    print("up on the local cloud, seconds (32 resources; median of the unchanged and the changed)")
    print(f"{'':12}{'slipway up':>12}{'pulumi up':>12}{'ratio':>8}")
    for name, mine, theirs in zip(("first", "unchanged", "one change"), ours, plain, strict=True):
        print(f"{name:12}{mine:12.2f}{theirs:12.2f}{mine / theirs:8.2f}")


def measure(package: Path, up: Up) -> tuple[float, float, float]:
    """Seconds of the first, an unchanged and a changed `up`."""
    with running(package) as home:
        first = _timed(up, home)
        unchanged = [_timed(up, home) for _ in range(ROUNDS)]
        changed: list[float] = []
        for at in range(ROUNDS):
            configure(home, package, alarms={"errors": 0.06 + at / 100})
            changed.append(_timed(up, home))
    return first, median(unchanged), median(changed)


def slipway_up(home: Path) -> None:
    from scripts.infrastructure.engine import Engine
    from scripts.infrastructure.pulumi_cli import LOCAL_STACK

    Engine(home, LOCAL_STACK).up()


def pulumi_up(home: Path) -> None:
    from scripts.infrastructure.engine import Engine
    from scripts.infrastructure.pulumi_cli import LOCAL_STACK, shell_environment

    Engine(home, LOCAL_STACK).create()
    subprocess.run(
        ["pulumi", "up", "--yes", "--skip-preview"],
        cwd=home,
        env={**os.environ, **shell_environment(LOCAL_STACK, home)},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _timed(up: Up, home: Path) -> float:
    began = time.perf_counter()
    up(home)
    return time.perf_counter() - began
