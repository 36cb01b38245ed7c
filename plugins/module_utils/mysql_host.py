# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a host that is, or shall become, a member of a MySQL group. Changes nothing, and works on a bare host."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .mysql_client import Connection
from .mysql_member import SYSTEM_SCHEMAS, Member, MemberServer, MemberState
from .packages import Run, Versions, missing, run, versions
from .stores.base import StoreError

#: What is asked of systemd about a unit.
_UNIT = ("ActiveState", "ExecMainStartTimestampMonotonic", "NeedDaemonReload", "UnitFileState")
_ESCAPED = re.compile(r"@([0-9a-f]{4})")


@dataclass(frozen=True)
class Question:
    """What to read: names and paths, all of which the role lets an operator choose."""

    address: str
    port: int = 3306
    health_port: int = 9200
    package: str = "mysql-community-server"
    packages: tuple[str, ...] = ()
    service: str = "mysql"
    health_service: str = "tutorops-mysql-health"
    health_user: str = "tutorops_health"
    data_dir: str = "/var/lib/mysql"
    socket: str = "/run/mysqld/mysqld.sock"
    users: tuple[str, ...] = ("root",)
    password: str = field(default="", repr=False)
    ca: str = ""
    watched: tuple[str, ...] = ()
    health_watched: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostState:
    """What was found. ``None`` stands for what cannot be known yet."""

    address: str
    address_present: bool
    distribution: str
    version_candidate: str | None
    version_installed: str | None
    packages_missing: tuple[str, ...]
    service_active: bool
    service_settled: bool
    restart_needed: bool
    health_settled: bool
    health_user_exists: bool
    data_dir: str
    data_dir_bytes_free: int
    data_dir_bytes_used: int
    data_dir_empty: bool
    memory_bytes: int
    port_taken_by: str | None
    health_port_taken_by: str | None
    user_schemas: tuple[str, ...]
    login: str | None
    group_state: str | None
    group_in_service: bool | None
    gtid_executed_empty: bool | None
    server_version: str | None

    def as_dict(self) -> dict[str, Any]:
        """What the module returns."""
        return asdict(self)


def _settled(unit: dict[str, str]) -> bool:
    """Whether a unit runs, starts at boot, and is the one on the disk."""
    found = unit["ActiveState"], unit["UnitFileState"], unit["NeedDaemonReload"]
    return found == ("active", "enabled", "no")


class Host:
    """The host on which this runs."""

    def __init__(
        self,
        question: Question,
        run: Run = run,
        root: Path = Path("/"),
        connect: Callable[..., Connection] = Connection,
    ) -> None:
        self._asked = question
        self._run = run
        self._root = root
        self._connect = connect

    def read(self) -> HostState:
        """Read everything once."""
        asked = self._asked
        service, health = self._unit(asked.service), self._unit(asked.health_service)
        schemas = self._schemas()
        login, member = self._member() if service["ActiveState"] == "active" else (None, None)
        package = versions([asked.package], self._run).get(asked.package, Versions())
        return HostState(
            address=asked.address,
            address_present=self._has_address(),
            distribution=self._distribution(),
            version_candidate=package.candidate,
            version_installed=package.installed,
            packages_missing=missing(asked.packages, self._run),
            service_active=service["ActiveState"] == "active",
            service_settled=_settled(service),
            restart_needed=self._is_older(service, asked.watched),
            health_settled=_settled(health) and not self._is_older(health, asked.health_watched),
            health_user_exists=bool(self._run(["getent", "passwd", asked.health_user])),
            data_dir=asked.data_dir,
            data_dir_bytes_free=self._bytes_free(),
            data_dir_bytes_used=self._bytes_used(),
            data_dir_empty=not self._entries(),
            memory_bytes=self._memory(),
            port_taken_by=self._taken_by(asked.port, ("mysqld",)),
            health_port_taken_by=self._taken_by(asked.health_port, ("tutorops-mysql-",)),
            user_schemas=member.user_schemas if member else schemas,
            login=login,
            group_state=member.state if member else None,
            group_in_service=member.in_service if member else None,
            gtid_executed_empty=not member.gtid_executed if member else None,
            server_version=member.version if member else None,
        )

    def _path(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _has_address(self) -> bool:
        return self._asked.address in re.findall(r"inet6? ([^/ ]+)", self._run(["ip", "-oneline", "address", "show"]))

    def _distribution(self) -> str:
        text = self._path("/etc/os-release").read_text(encoding="utf-8")
        found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return " ".join(found.get(key, "").strip('"') for key in ("ID", "VERSION_ID")).strip()

    def _unit(self, name: str) -> dict[str, str]:
        text = self._run(["systemctl", "show", name, f"--property={','.join(_UNIT)}"])
        found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return {name: found.get(name, "") for name in _UNIT}

    def _is_older(self, unit: dict[str, str], files: Iterable[str]) -> bool:
        """Whether what runs was started before one of its files changed."""
        if unit["ActiveState"] != "active":
            return False
        started = time.time() - time.monotonic() + int(unit["ExecMainStartTimestampMonotonic"] or 0) / 1e6
        # The time of the last change of any kind: packages set the time of modification to that of their build.
        changed = [path.stat().st_ctime for path in map(self._path, files) if path.exists()]
        return max(changed, default=0.0) > started

    def _entries(self) -> list[Path]:
        try:
            return [path for path in self._path(self._asked.data_dir).iterdir() if path.name != "lost+found"]
        except OSError:
            return []

    def _schemas(self) -> tuple[str, ...]:
        """Databases are directories, so they can be listed while MySQL is down, and whoever may log in."""
        names = [path.name for path in self._entries() if path.is_dir() and not path.name.startswith(("#", "."))]
        decoded = (_ESCAPED.sub(lambda found: chr(int(found[1], 16)), name) for name in names)
        return tuple(sorted(name for name in decoded if name not in SYSTEM_SCHEMAS))

    def _bytes_free(self) -> int:
        path = self._path(self._asked.data_dir)
        while not path.exists():
            path = path.parent
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def _bytes_used(self) -> int:
        total = 0
        for folder, _, names in os.walk(self._path(self._asked.data_dir)):
            for name in names:
                try:
                    total += os.lstat(os.path.join(folder, name)).st_blocks * 512
                except OSError:
                    continue
        return total

    def _memory(self) -> int:
        text = self._path("/proc/meminfo").read_text(encoding="utf-8")
        found = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def _taken_by(self, port: int, ours: Iterable[str]) -> str | None:
        for line in self._run(["ss", "-Hltnp", f"sport = :{port}"]).splitlines():
            name = re.search(r'users:\(\("([^"]+)"', line)
            if name is None or name[1] not in ours:
                return name[1] if name else "another process"
        return None

    def _member(self) -> tuple[str | None, MemberState | None]:
        """Ask MySQL itself; not possible before the role has run, nor while it does not answer."""
        asked = self._asked
        logins: list[tuple[str, dict[str, Any]]] = [
            (user, {"unix_socket": str(self._path(asked.socket)), "user": user}) for user in asked.users
        ]
        if asked.password and self._path(asked.ca).is_file():
            # After a copy from elsewhere the accounts by socket are gone until they are made again.
            user = asked.users[0]
            by_network = {"host": asked.address, "port": asked.port, "user": user, "password": asked.password}
            logins.append((user, {**by_network, "ca": str(self._path(asked.ca))}))
        for user, options in logins:
            try:
                with self._connect(**options, timeout=5) as connection:
                    return user, MemberServer(Member(asked.address, asked.address), connection).look()
            except StoreError:
                continue
        return None, None
