# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marker of a flip that is under way: who runs it, and until when it may hold."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from .paths import read_json, remove_file, write_file


@dataclass(frozen=True)
class FlipMarker:
    """On the disk before the hold begins, gone when the state at rest is reached."""

    stage: str
    leaving: str
    taking: str
    pid: int
    process_started: str
    hold_ends: float

    @classmethod
    def mine(cls, stage: str, leaving: str, taking: str, hold_ends: float) -> FlipMarker:
        """A marker that this process owns."""
        pid = os.getpid()
        return cls(stage, leaving, taking, pid, process_started(pid) or "", hold_ends)

    @classmethod
    def read(cls, path: Path) -> FlipMarker | None:
        """The marker of a flip that is under way, or None. One that cannot be read is one all the same."""
        try:
            found = read_json(path)
            if found is None:
                return None
            return cls(
                stage=str(found["stage"]),
                leaving=str(found["leaving"]),
                taking=str(found["taking"]),
                pid=int(found["pid"]),
                process_started=str(found["process_started"]),
                hold_ends=float(found["hold_ends"]),
            )
        except (ValueError, TypeError, KeyError, OverflowError):
            return cls("", "", "", 0, "", 0.0)

    def write(self, path: Path) -> None:
        """Put it on the disk."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(path, json.dumps(asdict(self)) + "\n", durable=True)

    def alive(self) -> bool:
        """Whether the process that owns it runs."""
        return self.pid > 0 and process_started(self.pid) == self.process_started != ""


def clear_marker(path: Path) -> None:
    """The state at rest is reached."""
    remove_file(path)


def process_started(pid: int, boot: Path = Path("/proc/sys/kernel/random/boot_id")) -> str | None:
    """What tells a process from a later one with the same number, also after a reboot; None when it does not run."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return None if words[0] in ("Z", "X") else f"{words[19]} {boot.read_text(encoding='utf-8').strip()}"
    except (OSError, IndexError):
        return None
