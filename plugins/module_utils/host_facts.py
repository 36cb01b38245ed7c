# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands and files of a host tell of it, for any engine. Changes nothing, and works on a bare host."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .packages import Run, Versions, absent, run, versions

#: What is asked of systemd about a unit.
_UNIT = ("ActiveState", "ExecMainStartTimestampMonotonic", "NeedDaemonReload", "UnitFileState")


@dataclass(frozen=True)
class HostQuestion:
    """What is read of any engine's host: names and paths, all of which the role lets an operator choose."""

    address: str
    port: int = 0
    package: str = ""
    packages: tuple[str, ...] = ()
    service: str = ""
    data_dir: str = ""
    watched: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What was found of any engine's host. ``None`` stands for what cannot be known yet."""

    address: str
    address_present: bool
    distribution: str
    version_candidate: str | None
    version_installed: str | None
    packages_missing: tuple[str, ...]
    service_active: bool
    service_settled: bool
    restart_needed: bool
    data_dir: str
    data_dir_bytes_free: int
    data_dir_bytes_used: int
    data_dir_empty: bool
    memory_bytes: int
    port_taken_by: str | None

    def as_dict(self) -> dict[str, Any]:
        """What the module returns."""
        return asdict(self)


def settled(unit: dict[str, str]) -> bool:
    """Whether a unit runs, starts at boot, and is the one on the disk."""
    found = unit["ActiveState"], unit["UnitFileState"], unit["NeedDaemonReload"]
    return found == ("active", "enabled", "no")


def is_active(unit: dict[str, str]) -> bool:
    """Whether a unit runs."""
    return unit["ActiveState"] == "active"


class HostFacts:
    """The host on which this runs."""

    def __init__(self, run: Run = run, root: Path = Path("/")) -> None:
        self._run = run
        self._root = root

    def read(self, asked: HostQuestion, programs: Iterable[str]) -> Found:
        """What does not depend on the engine; ``programs`` are those that may listen on its port."""
        service = self.unit(asked.service)
        known = versions([asked.package, *asked.packages], self._run)
        package = known.get(asked.package, Versions())
        return Found(
            address=asked.address,
            address_present=self.has_address(asked.address),
            distribution=self.distribution(),
            version_candidate=package.candidate,
            version_installed=package.installed,
            packages_missing=absent(asked.packages, known),
            service_active=is_active(service),
            service_settled=settled(service),
            restart_needed=self.is_older(service, asked.watched),
            data_dir=asked.data_dir,
            data_dir_bytes_free=self.bytes_free(asked.data_dir),
            data_dir_bytes_used=self.bytes_used(asked.data_dir),
            data_dir_empty=not self.entries(asked.data_dir),
            memory_bytes=self.memory(),
            port_taken_by=self.taken_by(asked.port, programs),
        )

    def holds(self, path: str, text: str) -> bool:
        """Whether a file is there and has a text in it."""
        try:
            return text in self.path(path).read_text(encoding="utf-8")
        except OSError:
            return False

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
        if not is_active(unit):
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
