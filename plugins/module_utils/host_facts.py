# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands and files of a host tell of it, for any engine. Changes nothing, and works on a bare host."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from .packages import Run, Versions, run, versions

#: What is asked of systemd about a unit.
_UNIT = ("ActiveState", "ExecMainStartTimestampMonotonic", "NeedDaemonReload", "UnitFileState")


def settled(unit: dict[str, str]) -> bool:
    """Whether a unit runs, starts at boot, and is the one on the disk."""
    found = unit["ActiveState"], unit["UnitFileState"], unit["NeedDaemonReload"]
    return found == ("active", "enabled", "no")


class HostFacts:
    """The host on which this runs."""

    def __init__(self, run: Run = run, root: Path = Path("/")) -> None:
        self._run = run
        self._root = root

    def path(self, path: str) -> Path:
        """A path below the root of the host."""
        return self._root / path.lstrip("/")

    def has_address(self, address: str) -> bool:
        """Whether an interface has an address."""
        return address in re.findall(r"inet6? ([^/ ]+)", self._run(["ip", "-oneline", "address", "show"]))

    def distribution(self) -> str:
        """Name and version of the operating system."""
        text = self.path("/etc/os-release").read_text(encoding="utf-8")
        found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return " ".join(found.get(key, "").strip('"') for key in ("ID", "VERSION_ID")).strip()

    def versions(self, package: str) -> Versions:
        """The version of a package that is installed, and the one that would be."""
        return versions([package], self._run).get(package, Versions())

    def has_user(self, name: str) -> bool:
        """Whether a user of that name is known."""
        return bool(self._run(["getent", "passwd", name]))

    def unit(self, name: str) -> dict[str, str]:
        """What systemd says of a unit."""
        text = self._run(["systemctl", "show", name, f"--property={','.join(_UNIT)}"])
        found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return {each: found.get(each, "") for each in _UNIT}

    def is_older(self, unit: dict[str, str], files: Iterable[str]) -> bool:
        """Whether what runs was started before one of its files changed."""
        if unit["ActiveState"] != "active":
            return False
        started = time.time() - time.monotonic() + int(unit["ExecMainStartTimestampMonotonic"] or 0) / 1e6
        # The time of the last change of any kind: packages set the time of modification to that of their build.
        changed = [path.stat().st_ctime for path in map(self.path, files) if path.exists()]
        return max(changed, default=0.0) > started

    def entries(self, folder: str) -> list[Path]:
        """What a folder holds; nothing when it is not there."""
        try:
            return [path for path in self.path(folder).iterdir() if path.name != "lost+found"]
        except OSError:
            return []

    def bytes_free(self, folder: str) -> int:
        """Free bytes where a folder is, or would be."""
        path = self.path(folder)
        while not path.exists():
            path = path.parent
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def bytes_used(self, folder: str) -> int:
        """Bytes that a folder takes up."""
        total = 0
        for place, _, names in os.walk(self.path(folder)):
            for name in names:
                try:
                    total += os.lstat(os.path.join(place, name)).st_blocks * 512
                except OSError:
                    continue
        return total

    def memory(self) -> int:
        """Bytes of memory."""
        text = self.path("/proc/meminfo").read_text(encoding="utf-8")
        found = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def taken_by(self, port: int, ours: Iterable[str]) -> str | None:
        """The process that listens on a port, unless it is one of ours."""
        for line in self._run(["ss", "-Hltnp", f"sport = :{port}"]).splitlines():
            name = re.search(r'users:\(\("([^"]+)"', line)
            if name is None or name[1] not in ours:
                return name[1] if name else "another process"
        return None
