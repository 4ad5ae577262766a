"""``make bench`` (``python -m benchmarks [NAME …]``): runs benchmarks and prints their tables."""

from __future__ import annotations

import importlib
import sys

NAMES = ("up", "advance")


def main() -> None:
    wanted = sys.argv[1:] or list(NAMES)
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        sys.exit(f"error: no benchmark {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    for name in wanted:
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
