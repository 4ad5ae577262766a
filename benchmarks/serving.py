"""``make bench-serving``: what one request costs, beside the servers that people use today.

CPU of the whole server, user and system, for each request; each server is measured in pairs beside
ours, in alternating order. Server and load have a core each. Answers are checked first.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import serving_stats as stats
from benchmarks.serving_load import TYPES, Round, measure, same_answers
from benchmarks.serving_models import Served, make, of_dist
from benchmarks.serving_report import report
from benchmarks.serving_servers import (
    FLOOR,
    MLFLOW,
    NAMES,
    NOOP,
    OURS,
    CannotRunError,
    Running,
    ask,
    running,
)
from contracts.atomic import write_text

RESULTS = Path(__file__).resolve().parent / "results"
MODELS = ("logreg", "forest", "flights")
CONNECTIONS = (1, 16, 64)
PAIRS = 7
SECONDS = 1
MANY = 1000


@dataclass(frozen=True)
class Case:
    """What is sent, over how many connections."""

    model: str
    format: str
    rows: int
    connections: int


@dataclass
class Row:
    """One server in one case.

    Ratios are of CPU time, from pairs. ``ratio_to_mlflow``, ``ratio_to_noop``: theirs to ours, and
    ``ratio_to_ours``: a peer's to ours, the lower end of a 90 % interval; ``ratio_to_floor``: ours
    to the floor's, its upper end. ``foreign``: the share of a core that others used meanwhile.
    """

    server: str
    model: str
    format: str
    rows: int
    connections: int
    workers: int = 1
    engine: str = ""
    cpu_us: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    rps: float | None = None
    batch_mean: float | None = None
    ratio_to_mlflow: float | None = None
    ratio_to_floor: float | None = None
    ratio_to_noop: float | None = None
    ratio_to_ours: float | None = None
    foreign: float | None = None
    reason: str = ""


@dataclass
class Start:
    """How long a server takes to its first answer, and what it holds in memory then."""

    server: str
    model: str
    cold_seconds: float
    memory_mb: float


@dataclass
class Found:
    rows: list[Row] = field(default_factory=list[Row])
    starts: list[Start] = field(default_factory=list[Start])
    cores: int = 0


def cases(model: str, formats: list[str]) -> Iterator[Case]:
    """One row over each number of connections; a thousand rows over one."""
    for form in formats:
        for connections in CONNECTIONS if (model, form) == ("logreg", "json") else (16,):
            yield Case(model, form, 1, connections)
        if model == "logreg":
            yield Case(model, form, MANY, 1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="serving", description=__doc__)
    parser.add_argument("--dist", type=Path, help="measure this package instead")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--formats", default="json,csv")
    parser.add_argument("--peers", default=os.environ.get("PEERS", ",".join(NAMES[1:])))
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of load in each round")
    parser.add_argument("--connections", help="only these cases, e.g. 1,16")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    peers = list(NAMES[1:]) if options.peers == "all" else options.peers.split(",")
    unknown = sorted(set(peers) - set(NAMES[1:]))
    if unknown:
        parser.error(f"no server {', '.join(unknown)}; there are {', '.join(NAMES[1:])}")
    wanted = [int(c) for c in options.connections.split(",")] if options.connections else None
    found = Found(cores=os.cpu_count() or 1)
    with tempfile.TemporaryDirectory(prefix="slipway-serving-") as folder:
        scratch = Path(folder)
        names = ["dist"] if options.dist else options.models.split(",")
        for name in names:
            print(f"training and packaging {name}", flush=True)
            served = of_dist(options.dist) if options.dist else make(name, scratch)
            todo = [
                case
                for case in cases(name, options.formats.split(","))
                if wanted is None or case.connections in wanted
            ]
            _model(served, todo, peers, options, scratch, found)
    options.results.mkdir(parents=True, exist_ok=True)
    write_text(options.results / "serving.json", json.dumps(asdict(found), indent=1) + "\n")
    report(found.rows, found.starts, options.results / "serving.svg")


def _model(
    served: Served,
    todo: list[Case],
    peers: Sequence[str],
    options: argparse.Namespace,
    scratch: Path,
    found: Found,
) -> None:
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        servers: dict[str, Running] = {}
        missing: dict[str, str] = {}
        for name in (OURS, *peers):
            try:
                servers[name] = stack.enter_context(running(name, served, scratch, cores[0]))
            except CannotRunError as error:
                if name == OURS:
                    raise SystemExit(f"error: our own server cannot run: {error}") from None
                missing[name] = str(error)
                continue
            memory = stats.memory_bytes(stats.tree(servers[name].pid)) / 1e6
            found.starts.append(Start(name, served.name, servers[name].cold_seconds, memory))
            if name not in (FLOOR, NOOP):
                _check(servers[name], served)
        for case in todo:
            began = time.monotonic()
            _case(case, served, servers, missing, options, scratch, cores[-1], found)
            shown = f"{case.model}, {case.format}, {case.rows} rows, {case.connections} connections"
            print(f"{shown}: {time.monotonic() - began:.0f} s", flush=True)


def _check(server: Running, served: Served) -> None:
    """A server that answers something else is not a peer: its speed says nothing."""
    if served.source == Path():
        return
    rows = 20
    body = served.body("json", rows, by_name=server.by_name)
    got = ask(server.url, body, TYPES["json"])
    if not same_answers(got, served.expected(rows)):
        raise SystemExit(f"error: {server.name} answers other than the model {served.name} does")


def _case(
    case: Case,
    served: Served,
    servers: dict[str, Running],
    missing: dict[str, str],
    options: argparse.Namespace,
    scratch: Path,
    core: int,
    found: Found,
) -> None:
    bodies = {
        name: served.body(case.format, case.rows, by_name=server.by_name)
        for name, server in servers.items()
    }
    rounds: dict[str, list[Round]] = {OURS: []}
    pairs: dict[str, list[tuple[float, float]]] = {}
    reasons = dict(missing)

    def load(name: str) -> Round:
        # Slow peers get no fewer requests than they can answer in three times the time.
        seconds = options.seconds * (3 if name == MLFLOW else 1)
        return measure(
            servers[name], bodies[name], case.format, case.connections, seconds, scratch, core
        )

    for name in [n for n in servers if n != OURS]:
        if name != FLOOR and not _takes(servers[name], bodies[name], case):
            reasons[name] = f"takes no {case.format}"
            continue
        for at in range(options.pairs):
            order = (OURS, name) if at % 2 else (name, OURS)
            both = {one: load(one) for one in order}
            rounds[OURS].append(both[OURS])
            rounds.setdefault(name, []).append(both[name])
            pairs.setdefault(name, []).append((both[name].cpu_us, both[OURS].cpu_us))
    for name in (OURS, *servers.keys() - {OURS}, *missing):
        reason = reasons.get(name, "")
        found.rows.append(_row(name, case, served, rounds.get(name, []), pairs, reason))


def _takes(server: Running, body: bytes, case: Case) -> bool:
    try:
        ask(server.url, body, TYPES[case.format])
    except OSError:
        return False
    return True


def _row(
    name: str,
    case: Case,
    served: Served,
    rounds: list[Round],
    pairs: dict[str, list[tuple[float, float]]],
    reason: str,
) -> Row:
    row = Row(name, case.model, case.format, case.rows, case.connections, reason=reason)
    if name == OURS:
        row.engine = _engine(served)
        row.ratio_to_mlflow = _lower(pairs.get(MLFLOW))
        row.ratio_to_noop = _lower(pairs.get(NOOP))
        if FLOOR in pairs:
            turned = [(ours, floor) for floor, ours in pairs[FLOOR]]
            row.ratio_to_floor = round(stats.ratio(turned).upper, 3)
    else:
        row.ratio_to_ours = _lower(pairs.get(name))
    if rounds:
        row.cpu_us = round(median(r.cpu_us for r in rounds), 2)
        row.p50_us = round(median(r.p50_us for r in rounds), 1)
        row.p99_us = round(median(r.p99_us for r in rounds), 1)
        row.rps = round(median(r.rps for r in rounds), 1)
        row.batch_mean = (
            None if not rounds[0].batch_mean else round(median(r.batch_mean for r in rounds), 2)
        )
        row.foreign = round(median(r.foreign for r in rounds), 3)
    return row


def _lower(pairs: list[tuple[float, float]] | None) -> float | None:
    return None if pairs is None else round(stats.ratio(pairs).lower, 3)


def _engine(served: Served) -> str:
    from contracts.package import load_package

    conversion = load_package(served.dist).conversion
    return conversion.engine if conversion is not None and conversion.engine else "native"


if __name__ == "__main__":
    main()
