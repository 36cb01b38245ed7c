# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a host that is, or shall become, a member of a Redis cluster. Changes nothing, and works on a bare host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .host_facts import Found, HostFacts, HostQuestion, is_active, settled
from .packages import Run, is_of, run
from .redis_client import Connection
from .redis_info import keys_by_database, parse_info, replication
from .stores.base import StoreError


@dataclass(frozen=True)
class Question(HostQuestion):
    """What to read."""

    port: int = 6379
    sentinel_port: int = 26379
    package: str = "redis-server"
    version: str = ""
    service: str = "redis-server"
    sentinel_service: str = "redis-sentinel"
    data_dir: str = "/var/lib/redis"
    config_file: str = "/etc/redis/redis.conf"
    admin_user: str = ""
    admin_password: str = field(default="", repr=False)
    ca: str = ""
    sentinel_watched: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostState(Found):
    """What was found."""

    sentinel_active: bool
    sentinel_settled: bool
    sentinel_restart_needed: bool
    configured: bool
    sentinel_port_taken_by: str | None
    login: bool
    key_count: int | None
    role: str | None
    server_version: str | None


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
        common, sentinel = facts.read(asked, ("redis-server",)), facts.unit(asked.sentinel_service)
        info = self._info() if common.service_active else None
        return HostState(
            **{**vars(common), "version_candidate": self._candidate()},
            sentinel_active=is_active(sentinel),
            sentinel_settled=settled(sentinel),
            sentinel_restart_needed=facts.is_older(sentinel, asked.sentinel_watched),
            configured=facts.holds(asked.config_file, MARK),
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
