"""What the server says of itself: Prometheus' text format, and CloudWatch's embedded metrics."""

from __future__ import annotations

import json
import os
from pathlib import Path

from contracts.package import ArchiveIndex
from inference.processes.board import (
    CLASSES,
    READY,
    REQUESTS_BUCKETS,
    ROUTES,
    ROWS_BUCKETS,
    SECONDS_BUCKETS,
    Board,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NAMESPACE = "Slipway/ModelServer"
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def prometheus(board: Board, index: ArchiveIndex | None) -> str:
    """All metrics, summed over the workers."""
    lines = [
        "# HELP slipway_requests_total Answered requests by route and class of status.",
        "# TYPE slipway_requests_total counter",
    ]
    for route in ROUTES:
        for kind in CLASSES:
            labels = f'route="{route}",code="{kind}"'
            lines.append(f"slipway_requests_total{{{labels}}} {board.requests(route, kind):.0f}")
    seconds, rows, merged = board.seconds(), board.rows(), board.merged()
    lines += _histogram(
        "slipway_request_seconds", "Time to answer a prediction.", SECONDS_BUCKETS, *seconds
    )
    lines += _histogram("slipway_batch_rows", "Rows of a call of the model.", ROWS_BUCKETS, *rows)
    lines += _histogram(
        "slipway_batch_requests", "Requests of a call of the model.", REQUESTS_BUCKETS, *merged
    )
    lines += _counter(
        "slipway_ignored_columns_total",
        "Columns that came and that the model does not know.",
        board.ignored(),
    )
    ready = sum(slot.state == READY for slot in board.slots)
    lines += _gauge("slipway_workers", "Worker processes.", len(board.slots))
    lines += _gauge("slipway_workers_ready", "Worker processes that serve.", ready)
    if index is not None:
        lines += [
            "# HELP slipway_model_info The model that is served.",
            "# TYPE slipway_model_info gauge",
            f"slipway_model_info{{{_labels(index)}}} 1",
        ]
    return "\n".join([*lines, *_process(board)]) + "\n"


def _labels(index: ArchiveIndex) -> str:
    values = {"model": index.model, "version": index.version, "engine": index.serving_engine}
    return ",".join(f'{name}="{_escaped(text)}"' for name, text in values.items())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _gauge(name: str, text: str, value: float) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name} {value:.15g}"]


def _counter(name: str, text: str, value: float) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} counter", f"{name} {value:.15g}"]


def _histogram(
    name: str,
    text: str,
    buckets: tuple[float, ...],
    running: list[float],
    count: float,
    total: float,
) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} histogram"]
    for edge, value in zip(buckets, running, strict=False):
        lines.append(f'{name}_bucket{{le="{edge:g}"}} {value:.0f}')
    lines.append(f'{name}_bucket{{le="+Inf"}} {count:.0f}')
    return [*lines, f"{name}_sum {total:.9g}", f"{name}_count {count:.0f}"]


def _process(board: Board) -> list[str]:
    """Memory, CPU, threads and open files of all workers, by Prometheus' usual names."""
    pids = [slot.pid for slot in board.slots if slot.pid]
    told = [_stat(pid) for pid in pids]
    files = sum(_open_files(pid) for pid in pids)
    return [
        *_gauge(
            "process_resident_memory_bytes",
            "Resident memory of all workers.",
            sum(_resident(pid) for pid in pids),
        ),
        *_gauge("process_start_time_seconds", "When the server started.", board.started),
        *_gauge("process_threads", "Threads of all workers.", sum(t for _, t in told)),
        *_gauge("process_open_fds", "Open files of all workers.", files),
        *_counter(
            "process_cpu_seconds_total",
            "CPU of all workers, also of those that died.",
            board.past_cpu_seconds + sum(c for c, _ in told),
        ),
    ]


def _stat(pid: int) -> tuple[float, int]:
    """CPU seconds and threads of a process (man 5 proc: utime, stime, num_threads)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS, int(fields[17])
    except (OSError, IndexError, ValueError):
        return 0.0, 0


def _open_files(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def embedded(board: Board, index: ArchiveIndex | None, now_ms: int) -> str:
    """One line in CloudWatch's embedded metric format with what was added since the last one.

    On SageMaker nobody can reach ``/metrics``; CloudWatch reads this line from the log.
    """
    counts = {kind: sum(board.requests(r, kind) for r in ROUTES if r != "ping") for kind in CLASSES}
    _, requests, seconds = board.seconds()
    _, calls, rows = board.rows()
    totals = {**counts, "requests": requests, "seconds": seconds, "calls": calls, "rows": rows}
    new = {n: total - past for (n, total), past in zip(totals.items(), board.told, strict=True)}
    for place, total in enumerate(totals.values()):
        board.told[place] = total
    values: dict[str, float] = {
        "Requests": new["2xx"] + new["4xx"] + new["5xx"],
        "ClientErrors": new["4xx"],
        "ServerErrors": new["5xx"],
        "MeanRequestTime": 1e6 * new["seconds"] / new["requests"] if new["requests"] else 0.0,
        "MeanBatchRows": new["rows"] / new["calls"] if new["calls"] else 0.0,
    }
    units = {"MeanRequestTime": "Microseconds", "MeanBatchRows": "None"}
    line = {
        "_aws": {
            "Timestamp": now_ms,
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Model", "Version"]],
                    "Metrics": [
                        {"Name": name, "Unit": units.get(name, "Count")} for name in values
                    ],
                }
            ],
        },
        "Model": index.model if index else "unknown",
        "Version": index.version if index else "unknown",
        **values,
    }
    return json.dumps(line)
