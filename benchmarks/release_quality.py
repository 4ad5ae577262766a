"""How often releases are decided rightly: ``make bench-releases``.

Simulated releases, seeded; every cell is a scenario under one rule and plan. Cells run in parallel
and are kept one by one, so that a run that was stopped goes on where it stood.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.release_cells import cells
from benchmarks.release_plot import plot
from benchmarks.release_report import table
from benchmarks.release_scenarios import PLANS, Plan, Scenario, built_in, read_scenarios
from contracts.atomic import write_text
from contracts.canonical import sha256_text

RESULTS = Path(__file__).resolve().parent / "results"
RELEASES = 2000


@dataclass(frozen=True)
class Job:
    scenario: Scenario
    plan: Plan
    releases: int
    seed: int

    @property
    def file_name(self) -> str:
        """Another scenario, seed or number of releases is another file."""
        what = json.dumps([self.scenario.to_dict(), self.plan.name, self.releases, self.seed])
        return f"{sha256_text(what)[:20]}.json"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="release_quality", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--releases", type=int, default=RELEASES, help="releases for each cell")
    parser.add_argument("--scenarios", type=Path, help="a JSON list; the built-in ones otherwise")
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--fresh", action="store_true", help="forget the cells of earlier runs")
    options = parser.parse_args(arguments)
    if options.releases < 1:
        parser.error(f"--releases is {options.releases}; 1 or more is needed")
    scenarios = read_scenarios(options.scenarios) if options.scenarios else built_in()
    scenarios = [s for s in scenarios if options.only in s.name]
    found = run(scenarios, options)
    write_text(options.results / "release_quality.json", json.dumps(found, indent=1) + "\n")
    plot(found, options.results / "release_quality.svg")
    print(table(found))


def run(scenarios: list[Scenario], options: argparse.Namespace) -> list[dict[str, Any]]:
    """All cells, in the order of the scenarios."""
    folder = options.results / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [Job(s, plan, options.releases, options.seed) for s in scenarios for plan in _plans(s)]
    if options.fresh:
        for job in jobs:
            (folder / job.file_name).unlink(missing_ok=True)
    missing = [job for job in jobs if not (folder / job.file_name).exists()]
    with ProcessPoolExecutor(max_workers=options.workers) as pool:
        pending = [pool.submit(_run_one, job, folder) for job in missing]
        for at, future in enumerate(pending):
            print(f"{at + 1}/{len(missing)} {future.result()}", flush=True)
    return [cell for job in jobs for cell in json.loads((folder / job.file_name).read_text())]


def _plans(scenario: Scenario) -> Iterator[Plan]:
    """Both plans, where the one without a warm-up and without points has something to say."""
    is_cold = scenario.disturbances.cold_minutes > 0
    only_default = is_cold or scenario.judged == "predictions" or scenario.steps is not None
    yield from PLANS[:1] if only_default else PLANS


def _run_one(job: Job, folder: Path) -> str:
    found = [cell.to_dict() for cell in cells(job.scenario, job.plan, job.releases, job.seed)]
    write_text(folder / job.file_name, json.dumps(found))
    return f"{job.scenario.name} ({job.plan.name})"


if __name__ == "__main__":
    main()
