"""Whether the interpreter that runs this has just the distributions that a model was logged with.

Also read, as a file, by the process of a native model: any Python from 3.9 on must run it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*==\s*([A-Za-z0-9.+!_-]+)")
_OPTIONS = ("-c", "--constraint", "--index-url", "--extra-index-url", "--find-links", "-f", "-i")


def unmet(requirements: Iterable[str], python: str) -> list[str]:
    """What keeps this interpreter from standing in for the one that the model was logged with.

    ``requirements`` are lines of requirements.txt; one that is no exact pin cannot be told to be
    met. ``python`` is the version of then, whose first two numbers count.
    """
    found: list[str] = []
    here = "{}.{}".format(*sys.version_info[:2])
    if minor(python) not in {"", here}:
        found.append(f"Python {minor(python)} (here is {here})")
    for line in requirements:
        text = line.partition("#")[0].strip()
        if not text or text.startswith(_OPTIONS):
            continue
        match = _PIN.fullmatch(text)
        if match is None:
            found.append(f"{text} (no exact pin)")
            continue
        name, wanted = match.groups()
        installed = _installed(name)
        if installed is None:
            found.append(f"{name}=={wanted} (not installed)")
            continue
        # A build of the same version (2.1+cpu) meets a pin that names none.
        if _plain(wanted) not in {_plain(installed), _plain(installed.partition("+")[0])}:
            found.append(f"{name}=={wanted} (installed is {installed})")
    return found


def other_release(requirements: Iterable[str], name: str) -> str:
    """The pin of ``name`` that is of another release (1.5, 1.6) than is installed here.

    Empty where it is the same, or not pinned; libraries read what others of their releases wrote
    otherwise, or not at all.
    """
    for line in requirements:
        match = _PIN.fullmatch(line.partition("#")[0].strip())
        if match is None or match[1].lower().replace("_", "-") != name:
            continue
        here = _installed(name)
        if here is None:
            return f"{name}=={match[2]} (not installed)"
        if minor(here) != minor(match[2]):
            return f"{name}=={match[2]} (installed is {here})"
    return ""


def _installed(name: str) -> str | None:
    # It brings e-mail, archives and more along, which no server needs beside it.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def minor(python: str) -> str:
    """``3.11`` of ``3.11.4``."""
    return ".".join(python.split(".")[:2])


def _plain(text: str) -> str:
    """1.0 and 1.0.0 are one version."""
    return re.sub(r"(\.0)+$", "", text.lower())
