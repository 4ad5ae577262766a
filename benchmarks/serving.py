"""``make bench-serving``: what one request costs, beside the servers that people use today.

CPU time of the whole server, user and system, for each request. Every server is measured beside
ours, in pairs, in alternating order; server and load have a core each. Answers are checked first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.serving_cases import Bench, Case, cases
from benchmarks.serving_load import LoadError, require_tools
from benchmarks.serving_models import MODELS, NotMadeError, Served, make
from benchmarks.serving_peers import DEFAULT_PEERS, MLFLOW, OURS, PEERS, CannotRunError
from benchmarks.serving_report import Row, StartRow, report, row
from benchmarks.serving_servers import Running, running
from contracts.atomic import write_text
from contracts.errors import SlipwayError

RESULTS = Path(__file__).resolve().parent / "results"
PAIRS, STARTS, MINUTES = 7, 3, 20.0
# What tables, plot and the end of the servers take of the whole.
RESERVED_SECONDS = 30.0


@dataclass
class Found:
    rows: list[Row]
    starts: list[StartRow]


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    deadline = time.monotonic() + 60 * options.minutes - RESERVED_SECONDS
    found = Found([], [])
    try:
        require_tools()
        with tempfile.TemporaryDirectory(prefix="slipway-serving-") as folder:
            _measure(options, Path(folder), deadline, found)
    except (LoadError, NotMadeError, CannotRunError, SlipwayError) as error:
        sys.exit(f"error: {error}")
    results: Path = options.results
    write_text(results / "serving.json", _lines([asdict(r) for r in found.rows]))
    write_text(results / "serving_starts.json", _lines([asdict(s) for s in found.starts]))
    report(found.rows, found.starts, results / "serving.svg")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="serving", description=__doc__)
    parser.add_argument("--dist", type=Path, help="measure this package instead of the models")
    parser.add_argument("--allow-code", action="store_true", help="run what the package brings")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument(
        "--peers", default=",".join(DEFAULT_PEERS), help="names, or all (default: %(default)s)"
    )
    parser.add_argument("--cases", choices=("goals", "all"), default="goals")
    parser.add_argument("--formats", default="json,csv")
    parser.add_argument("--rows", default="1,1000")
    parser.add_argument("--connections", default="1,16,64")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--starts", type=int, default=STARTS, help="of ours and MLflow's")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="about; fewer redo less")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    known = [name for name in PEERS if name != OURS]
    options.peers = known if options.peers == "all" else _list(options.peers)
    for name, given, allowed in (
        ("peers", options.peers, known),
        ("models", options.models.split(","), MODELS),
    ):
        if unknown := [one for one in given if one not in allowed]:
            parser.error(f"--{name} has {', '.join(unknown)}; there are {', '.join(allowed)}")
    if options.pairs < 1:
        parser.error(f"--pairs is {options.pairs}; 1 or more is needed")
    return options


def _list(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _cases(options: argparse.Namespace, model: str) -> list[Case]:
    every = options.cases == "all"
    known = "logreg" if options.dist else model  # a package of anybody's gets the fullest set
    return [
        Case(model, case.format, case.rows, case.connections)
        for case in cases(known, every=every)
        if case.format in _list(options.formats)
        and str(case.rows) in _list(options.rows)
        and str(case.connections) in _list(options.connections)
    ]


def _measure(options: argparse.Namespace, scratch: Path, deadline: float, found: Found) -> None:
    cores = sorted(os.sched_getaffinity(0))
    print(
        f"server on core {cores[0]}, load on core {cores[-1]}"
        if len(cores) > 1
        else "one core only: server and load share it, so latencies and rates are no server's own",
        flush=True,
    )
    names = ["dist"] if options.dist else options.models.split(",")
    models: list[Served] = []
    for name in names:
        print(f"making {name}: model, package, bodies", flush=True)
        models.append(make(name, options.dist, scratch / name, allow_code=options.allow_code))
    left = sum(len(_cases(options, served.name)) for served in models)
    for served in models:
        found.starts.extend(_starts(served, options, scratch / "starts", cores[0]))
        with ExitStack() as stack:
            servers, missing = _all(served, options.peers, stack, scratch / "servers", cores[0])
            bench = Bench(served, servers, scratch, cores[-1], options.pairs)
            for case in _cases(options, served.name):
                share = max(0.0, deadline - time.monotonic()) / left
                left -= 1
                began = time.monotonic()
                measured = bench.measure(case, share)
                print(f"{case}: {time.monotonic() - began:.0f} s", flush=True)
                for name in (OURS, *options.peers):
                    engine = served.engine if name == OURS else PEERS[name].engine
                    found.rows.append(row(name, engine, case, measured, missing.get(name, "")))


def _starts(served: Served, options: argparse.Namespace, folder: Path, core: int) -> list[StartRow]:
    """Ours and MLflow's by turns, each alone: nobody else shares its pages."""
    wanted = [OURS, *(name for name in options.peers if name == MLFLOW)]
    seen: dict[str, list[Running]] = {name: [] for name in wanted}
    for at in range(options.starts):
        for name in wanted:
            print(f"{served.name}: start {at + 1} of {name}", flush=True)
            try:
                place = folder / f"{served.name}-{name}-{at}"
                with running(PEERS[name], served, place, core) as server:
                    seen[name].append(server)
            except CannotRunError as error:
                if name == OURS:
                    raise
                print(f"{name} cannot run: {error}", flush=True)
    return [
        StartRow(
            name,
            served.name,
            served.engine if name == OURS else PEERS[name].engine,
            round(median(s.cold_seconds for s in servers), 3),
            round(median(s.memory_bytes for s in servers) / 1e6, 1),
            len(servers),
        )
        for name, servers in seen.items()
        if servers
    ]


def _all(
    served: Served, peers: list[str], stack: ExitStack, folder: Path, core: int
) -> tuple[dict[str, Running], dict[str, str]]:
    """Every server that runs, ours the first; and why others do not."""
    servers: dict[str, Running] = {}
    missing: dict[str, str] = {}
    for name in (OURS, *peers):
        print(f"{served.name}: starting {name}", flush=True)
        try:
            place = folder / f"{served.name}-{name}"
            servers[name] = stack.enter_context(running(PEERS[name], served, place, core))
        except CannotRunError as error:
            if name == OURS:
                raise
            missing[name] = str(error)
    return servers, missing


def _lines(rows: list[dict[str, object]]) -> str:
    """A JSON list, a row on each line."""
    return "[\n" + ",\n".join(json.dumps(one) for one in rows) + "\n]\n"


if __name__ == "__main__":
    main()
