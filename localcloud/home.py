"""Where one local cloud keeps itself: `<root>/.slipway/cloud/`, its record, lock, log and state."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from contracts import atomic

PROJECT_FILE = "Pulumi.yaml"


@dataclass(frozen=True)
class CloudHome:
    """The files of one cloud; ``root`` is the project's folder or what ``--home`` names."""

    root: Path

    @staticmethod
    def of(home: Path | None) -> CloudHome:
        """``home``, else the nearest folder at or above here with ``Pulumi.yaml``, else here."""
        if home is not None:
            return CloudHome(home.resolve())
        here = Path.cwd().resolve()
        for folder in (here, *here.parents):
            if (folder / PROJECT_FILE).is_file():
                return CloudHome(folder)
        return CloudHome(here)

    @property
    def folder(self) -> Path:
        return self.root / ".slipway" / "cloud"

    @property
    def record(self) -> Path:
        """``cloud.json``: there while a daemon is ready, and left behind by one that died."""
        return self.folder / "cloud.json"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def clock(self) -> Path:
        return self.folder / "clock.json"

    @property
    def settings(self) -> Path:
        """Port and speed of the last start: what a start without options takes again."""
        return self.folder / "settings.json"

    @property
    def lock(self) -> Path:
        """Held (flock) by the daemon as long as it lives, so the system knows whether it does."""
        return self.folder / "daemon.lock"

    def read_record(self) -> dict[str, Any] | None:
        return _read_json(self.record)

    def write_record(self, record: dict[str, Any]) -> None:
        atomic.write_text(self.record, json.dumps(record, indent=2) + "\n")

    def remove_record(self) -> None:
        self.record.unlink(missing_ok=True)

    def read_settings(self) -> dict[str, Any]:
        return _read_json(self.settings) or {}

    def write_settings(self, settings: dict[str, Any]) -> None:
        atomic.write_text(self.settings, json.dumps(settings) + "\n")

    def acquire(self) -> int | None:
        """Take the lock for the life of this process; None when another process holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        return descriptor

    def is_locked(self) -> bool:
        """Whether a daemon lives."""
        try:
            descriptor = os.open(self.lock, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def lock_owner(self) -> int | None:
        """The process id that the holder of the lock wrote into it."""
        try:
            return int(self.lock.read_text())
        except (FileNotFoundError, ValueError):
            return None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value: Any = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
