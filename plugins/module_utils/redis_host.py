# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a host that is, or shall become, a member of a Redis cluster. Changes nothing, and works on a bare host."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .host_facts import HostFacts, settled
from .packages import Run, missing, run
from .redis_client import Connection
from .redis_info import keys_by_database, parse_info, replication
from .stores.base import StoreError


@dataclass(frozen=True)
class Question:
    """What to read: names and paths, all of which the role lets an operator choose."""

    address: str
    port: int = 6379
    sentinel_port: int = 26379
    package: str = "redis-server"
    packages: tuple[str, ...] = ()
    version: str = ""
    service: str = "redis-server"
    sentinel_service: str = "redis-sentinel"
    data_dir: str = "/var/lib/redis"
    config_file: str = "/etc/redis/redis.conf"
    admin_user: str = ""
    admin_password: str = field(default="", repr=False)
    ca: str = ""
    watched: tuple[str, ...] = ()
    sentinel_watched: tuple[str, ...] = ()


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
    sentinel_active: bool
    sentinel_settled: bool
    restart_needed: bool
    sentinel_restart_needed: bool
    configured: bool
    data_dir: str
    data_dir_bytes_free: int
    data_dir_bytes_used: int
    data_dir_empty: bool
    memory_bytes: int
    port_taken_by: str | None
    sentinel_port_taken_by: str | None
    login: bool
    key_count: int | None
    role: str | None
    server_version: str | None

    def as_dict(self) -> dict[str, Any]:
        """What the module returns."""
        return asdict(self)


#: What the role writes first into each file that Redis itself writes, too.
MARK = "# Kept by the role tutorops.scale.redis."


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
        self._facts = HostFacts(run, root)
        self._connect = connect

    def read(self) -> HostState:
        """Read everything once."""
        asked, facts = self._asked, self._facts
        service, sentinel = facts.unit(asked.service), facts.unit(asked.sentinel_service)
        active = service["ActiveState"] == "active"
        info = self._info() if active else None
        installed, _ = facts.versions(asked.package)
        return HostState(
            address=asked.address,
            address_present=facts.has_address(asked.address),
            distribution=facts.distribution(),
            version_candidate=self._candidate(),
            version_installed=installed,
            packages_missing=missing(asked.packages, self._run),
            service_active=active,
            service_settled=settled(service),
            sentinel_active=sentinel["ActiveState"] == "active",
            sentinel_settled=settled(sentinel),
            restart_needed=facts.is_older(service, asked.watched),
            sentinel_restart_needed=facts.is_older(sentinel, asked.sentinel_watched),
            configured=self._configured(),
            data_dir=asked.data_dir,
            data_dir_bytes_free=facts.bytes_free(asked.data_dir),
            data_dir_bytes_used=facts.bytes_used(asked.data_dir),
            data_dir_empty=not facts.entries(asked.data_dir),
            memory_bytes=facts.memory(),
            port_taken_by=facts.taken_by(asked.port, ("redis-server",)),
            sentinel_port_taken_by=facts.taken_by(asked.sentinel_port, ("redis-server", "redis-sentinel")),
            login=info is not None,
            key_count=None if info is None else sum(keys_by_database(info).values()),
            role=None if info is None else replication(info).role,
            server_version=None if info is None else info.get("redis_version"),
        )

    def _candidate(self) -> str | None:
        """The newest version of the package that is wanted; a repository may have several series."""
        text = self._run(["apt-cache", "madison", self._asked.package])
        found = [line.split("|")[1].strip() for line in text.splitlines() if line.count("|") >= 2]
        return next((one for one in found if is_of(one, self._asked.version)), next(iter(found), None))

    def _configured(self) -> bool:
        try:
            return MARK in self._facts.path(self._asked.config_file).read_text(encoding="utf-8")
        except OSError:
            return False

    def _info(self) -> dict[str, str] | None:
        """Ask Redis itself; not possible before the role has run, nor while it does not answer."""
        asked = self._asked
        ca = self._facts.path(asked.ca) if asked.ca else None
        if not asked.admin_user or ca is None or not ca.is_file():
            return None
        try:
            with self._connect(
                host=asked.address,
                port=asked.port,
                user=asked.admin_user,
                password=asked.admin_password,
                ca=str(ca),
                timeout=5,
            ) as connection:
                return parse_info(connection.text("INFO"))
        except StoreError:
            return None


def is_of(version: str, wanted: str) -> bool:
    """Whether a package's version is of a series or release; of any without one."""
    return not wanted or re.match(rf"(\d+:)?{re.escape(wanted)}([.\-+~]|$)", version) is not None
