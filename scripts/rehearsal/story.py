"""The rehearsal's stages in order: a first model, a better one, a broken one."""

# pandas' own types say Series | DataFrame where a selection is one of them.
# pyright: reportReturnType=false

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.rehearsal import place
from scripts.rehearsal.live import Traffic, bodies, expected
from scripts.rehearsal.report import Operation, Release, Report, StepOutcome, check_traffic
from scripts.rehearsal.screen import Line, Screen
from scripts.rehearsal.tally import Window, tally

if TYPE_CHECKING:
    import pandas as pd

    from model_code.train import TrainingOptions
    from release.driver.progress import Event
    from release.evidence.document import ReleaseResult
    from scripts.infrastructure.engine import Engine, Result
    from scripts.release.stack import ReleaseStack

SPEED = 60.0
RATE = 60.0
HELD_OUT_MONTH = 6
ROWS = 300
GOOD_FIRST, GOOD_NEXT, BAD = "1", "2", "3"
# Half of the traffic at the last step; what a version gets over the whole run is less.
LARGEST_SHARE = 0.5
SAME = frozenset({"same"})


@dataclass
class Story:
    """State that the stages hand on; ``close`` ends every process, whatever happened."""

    home: Path
    report: Report
    screen: Screen
    expected: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    windows: list[Window] = field(default_factory=list[Window])
    traffic: Traffic | None = None

    def run(self) -> None:
        """All of it; raises at the first stage that cannot be done."""
        self._start_cloud()
        self._train(GOOD_FIRST, "a first model", self._options(estimator="logreg"))
        self._package(GOOD_FIRST)
        self._up("up", {"create"})
        self._invoke()
        self._start_traffic()
        self._up("up again", SAME)
        self._train(GOOD_NEXT, "a better one", self._options(estimator="hgb", sample=40_000))
        self._package(GOOD_NEXT)
        self._up("up v2", {"create", "update", "delete"})
        self._release(GOOD_FIRST, GOOD_NEXT, "promoted")
        self._train(
            BAD,
            "without LGA's data",
            self._options(airports=("EWR", "JFK"), strict_categories=True),
        )
        self._package(BAD)
        self._up("up v3", {"create", "update", "delete"})
        self._release(GOOD_NEXT, BAD, "rolled_back")
        self._check_serving(GOOD_NEXT)
        self._finish_traffic()

    def close(self) -> None:
        from localcloud import connect

        try:
            if self.traffic is not None:
                self.traffic.stop()
        finally:
            connect.stop(self.home)

    # --- stages

    def _start_cloud(self) -> None:
        from localcloud import connect

        with self._stage("local cloud") as line:
            found = connect.start(self.home, 0, SPEED)
            line.update(f"AWS on 127.0.0.1:{found.port}, {SPEED:g} times as fast")

    def _train(self, version: str, what: str, options: TrainingOptions) -> None:
        from threadpoolctl import threadpool_limits

        from model_code.train import train

        with self._stage(f"train v{version}") as line:
            line.update(what)
            # Threads that wait for each other's barriers crawl where servers want the same cores.
            with threadpool_limits(1):
                result = train(options, self._registry)
            line.update(f"{what}: {result.rows:,} flights, AUC {result.metrics['auc']:.3f}")
            self._check(f"training made version {version}", result.version, version)
            self.expected[version] = expected(self._registry, place.MODEL, version, self._held_out)

    def _package(self, version: str) -> None:
        from model_code.package import Converting, package
        from scripts.models.commands import PROVER

        with self._stage(f"package v{version}") as line:
            reference = f"{place.MODEL}/{version}"
            converting = Converting(PROVER)
            dist = self.home / "dist"
            made = package(self._registry, reference, dist, converting=converting).manifest
            size = f"{made.size / 1e6:.2f} MB"
            line.update(f"dist/{reference}  sha256 {made.sha256[:8]}…, {size}")
        place.stage(self.home, version)

    def _up(self, name: str, wanted: set[str] | frozenset[str]) -> None:
        """``wanted``: the kinds of change that must and alone may happen, beside what stays."""
        with self._stage(name) as line:
            result = self._engine(line).up()
            self.report.operations.append(Operation("up", result.changes, result.seconds))
            line.update(_changes(result))
            found = set(result.changes) - SAME
            self._check(f"{name} did what it must", sorted(found), sorted(wanted - SAME))

    def _invoke(self) -> None:
        from scripts.release.invoke import send

        with self._stage("invoke") as line:
            manifest = self._stack.manifest(None)
            body = self._bodies[0]
            answer = send(self._stack, manifest.endpoint_name, body, "application/json", None)
            line.update(f"{manifest.endpoint_name} answers {answer['body'].strip()}")
            self._check("the endpoint answered as variant live", answer["variant"], "live")

    def _start_traffic(self) -> None:
        with self._stage("traffic") as line:
            name = self._stack.manifest(None).endpoint_name
            url = str(self._url)
            self.windows.append(Window(time.time(), GOOD_FIRST))
            self.traffic = Traffic(self.home, url, name, place.REGION)
            self.traffic.start(self._bodies, RATE)
            line.update(f"{RATE:g} requests/s of held-out flights from now on")

    def _release(self, live: str, candidate: str, outcome: str) -> None:
        from release.driver.run import LOCAL_PACE, run
        from scripts.registry.alias import follow

        steps = " → ".join(str(step["weight"]) for step in place.STEPS)
        with self._stage(f"release v{live}→v{candidate}") as line:
            line.update(f"canary {steps} → 100 %")
            manifest = self._stack.manifest(None)
            self.windows.append(Window(time.time(), live, candidate))
            watch = _Watch(line, self.screen.note)
            result = run(manifest, cloud=self._stack.cloud, observer=watch, pace=LOCAL_PACE)
            serves = candidate if result.outcome == "promoted" else live
            self.windows.append(Window(time.time(), serves))
            problem = follow(self._registry, result, self._stack.bucket)
            self._check("the registry followed", problem, None)
            self._tell(line, watch, result)
            self._check(f"v{candidate} was {outcome}", result.outcome, outcome)

    def _tell(self, line: Line, watch: _Watch, result: ReleaseResult) -> None:
        seconds = watch.seconds_to_zero(self._answers_of_candidate(watch))
        self.report.releases.append(_as_reported(result, seconds))
        errors = f"{result.candidate_errors} of its {result.candidate_requests} requests failed"
        line.update(f"{result.outcome.replace('_', ' ')}: {result.reason}; {errors}")
        if result.outcome == "rolled_back" and seconds is not None:
            self.screen.note(f"{seconds:.1f} s from the first error to weight 0")

    def _answers_of_candidate(self, watch: _Watch) -> list[float]:
        """When the candidate's failed answers came, since this release began."""
        answers = [] if self.traffic is None else self.traffic.answers()
        return [
            a.at + a.latency_ms / 1e3
            for a in answers
            if a.at >= watch.began_at and a.status != 200 and a.variant == "candidate"
        ]

    def _check_serving(self, version: str) -> None:
        from release.aws.store import read_evidence

        with self._stage("after") as line:
            endpoint = self._stack.cloud.endpoint(self._stack.manifest(None).endpoint_name)
            config = self._stack.cloud.config(endpoint.config_name)
            serving = None if config is None else config.version
            self._check(f"v{version} serves", (endpoint.status, serving), ("InService", version))
            shares = [(v.name, v.current_weight) for v in endpoint.variants]
            self._check("it alone serves", [name for name, _ in shares], ["live"])
            kept = [read_evidence(self._stack.s3, self._stack.bucket, r.id) for r in self._told]
            self._check("each release left evidence", [k is not None for k in kept], [True, True])
            from model_code import registry

            champion = registry.resolve(self._registry, f"{place.MODEL}@champion").version
            self._check("champion is what serves", champion, version)
            line.update(f"v{version} serves all of it, and is champion in the registry")

    def _finish_traffic(self) -> None:
        with self._stage("traffic ends") as line:
            assert self.traffic is not None
            answers = self.traffic.stop()
            counted = tally(answers, self.expected, self.windows)
            check_traffic(self.report, counted, BAD, LARGEST_SHARE)
            seen = [r.seconds_from_first_error_to_zero_weight for r in self._told]
            self._check("only the bad one failed", [s is not None for s in seen], [False, True])
            line.update(
                f"{counted.requests:,} requests, {counted.failed} failed, {counted.wrong} wrong"
            )

    # --- what the stages share

    @property
    def _told(self) -> list[Release]:
        return self.report.releases

    @cached_property
    def _registry(self) -> str:
        return f"sqlite:///{self.home / '.slipway'}/mlflow.db"

    @cached_property
    def _held_out(self) -> pd.DataFrame:
        from model_code import flights

        return flights.held_out(HELD_OUT_MONTH, ROWS)[list(flights.FEATURES)]

    @cached_property
    def _bodies(self) -> list[bytes]:
        return bodies(self._held_out)

    @cached_property
    def _stack(self) -> ReleaseStack:
        from scripts.release.stack import open_stack

        return open_stack(place.STACK, self.home)

    @cached_property
    def _url(self) -> str:
        from localcloud import connect

        return str(connect.require(self.home).endpoint_url)

    def _options(self, **options: Any) -> TrainingOptions:
        from model_code.train import TrainingOptions

        return TrainingOptions(model=place.MODEL, **options)

    def _engine(self, line: Line) -> Engine:
        from scripts.infrastructure.engine import Engine

        done: Counter[str] = Counter()

        def observe(operation: str, name: str) -> None:
            done[operation] += 1
            line.update(f"{sum(done.values())} resources · {operation} {name}")

        return Engine(self.home, place.STACK, observer=observe)

    def _stage(self, name: str) -> Any:
        return self.screen.stage(name)

    def _check(self, name: str, seen: Any, wanted: Any) -> None:
        shown = f"{seen}" if seen == wanted else f"{seen}, not {wanted}"
        self.report.check(name, seen == wanted, shown)


class _Watch:
    """A release's observer: a timeline in wall time, and the moment of weight 0."""

    def __init__(self, line: Line, note: Callable[[str], None]) -> None:
        self._line = line
        self._note = note
        self.began_at = time.time()
        self.zero_at: float | None = None

    def __call__(self, event: Event) -> None:
        from scripts.release.screen import line

        if event.kind == "progress":
            self._line.update(_standing(event))
            return
        if event.kind in ("zero", "back") and self.zero_at is None:
            self.zero_at = time.time()
        text = line(event, event.at)
        if text is not None:
            seconds = int(time.time() - self.began_at)
            # The release's own clock runs faster than ours: ours is what a person waits.
            self._note(f"{seconds // 60:02d}:{seconds % 60:02d}{text[5:]}")

    def seconds_to_zero(self, failed: list[float]) -> float | None:
        if not failed or self.zero_at is None:
            return None
        return max(0.0, self.zero_at - min(failed))


def _standing(event: Event) -> str:
    weights = {v.name: v.current_weight for v in event.data["variants"]}
    total = sum(weights.values()) or 1.0
    shares = ", ".join(f"{name} {100 * w / total:.0f} %" for name, w in weights.items())
    verdict = event.data.get("verdict")
    return f"{event.text} · {shares}" + (
        f" · {getattr(verdict, 'text', verdict)}" if verdict else ""
    )


def _changes(result: Result) -> str:
    changes = {k: n for k, n in result.changes.items() if k != "same"}
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(changes.items())) or "nothing"
    kept = f" ({result.kept} of them kept for going back)" if result.kept else ""
    return f"{told}{kept}, {result.changes.get('same', 0)} unchanged"


def _as_reported(result: ReleaseResult, seconds_to_zero: float | None) -> Release:
    return Release(
        id=result.id,
        model=result.model,
        from_version=result.from_version,
        to_version=result.to_version,
        strategy=result.strategy,
        outcome=result.outcome,
        steps=tuple(
            StepOutcome(s.weight, s.verdict, round(s.seconds / SPEED, 2)) for s in result.steps
        ),
        candidate_requests=result.candidate_requests,
        candidate_errors=result.candidate_errors,
        seconds_from_first_error_to_zero_weight=(
            None if seconds_to_zero is None else round(seconds_to_zero, 2)
        ),
    )
