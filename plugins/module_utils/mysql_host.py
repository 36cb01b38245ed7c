# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a host that is, or shall become, a member of a MySQL group. Changes nothing, and works on a bare host."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .host_facts import Found, HostFacts, HostQuestion, settled
from .mysql_client import Connection
from .mysql_member import SYSTEM_SCHEMAS, Member, MemberServer, MemberState
from .packages import Run, run
from .stores.base import StoreError

_ESCAPED = re.compile(r"@([0-9a-f]{4})")


@dataclass(frozen=True)
class Question(HostQuestion):
    """What to read."""

    port: int = 3306
    health_port: int = 9200
    package: str = "mysql-community-server"
    service: str = "mysql"
    health_service: str = "tutorops-mysql-health"
    health_user: str = "tutorops_health"
    data_dir: str = "/var/lib/mysql"
    socket: str = "/run/mysqld/mysqld.sock"
    users: tuple[str, ...] = ("root",)
    password: str = field(default="", repr=False)
    ca: str = ""
    health_watched: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostState(Found):
    """What was found."""

    health_settled: bool
    health_user_exists: bool
    health_port_taken_by: str | None
    user_schemas: tuple[str, ...]
    login: str | None
    group_state: str | None
    group_in_service: bool | None
    gtid_executed_empty: bool | None
    server_version: str | None


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
        self._facts = HostFacts(run, root)
        self._connect = connect

    def read(self) -> HostState:
        """Read everything once."""
        asked, facts = self._asked, self._facts
        common, health = facts.read(asked, ("mysqld",)), facts.unit(asked.health_service)
        schemas = self._schemas()
        login, member = self._member() if common.service_active else (None, None)
        return HostState(
            **vars(common),
            health_settled=settled(health) and not facts.is_older(health, asked.health_watched),
            health_user_exists=facts.has_user(asked.health_user),
            health_port_taken_by=facts.taken_by(asked.health_port, ("tutorops-mysql-",)),
            user_schemas=member.user_schemas if member else schemas,
            login=login,
            group_state=member.state if member else None,
            group_in_service=member.in_service if member else None,
            gtid_executed_empty=not member.gtid_executed if member else None,
            server_version=member.version if member else None,
        )

    def _schemas(self) -> tuple[str, ...]:
        """Databases are directories, so they can be listed while MySQL is down, and whoever may log in."""
        folders = [path.name for path in self._facts.entries(self._asked.data_dir) if path.is_dir()]
        names = [name for name in folders if not name.startswith(("#", "."))]
        decoded = (_ESCAPED.sub(lambda found: chr(int(found[1], 16)), name) for name in names)
        return tuple(sorted(name for name in decoded if name not in SYSTEM_SCHEMAS))

    def _member(self) -> tuple[str | None, MemberState | None]:
        """Ask MySQL itself; not possible before the role has run, nor while it does not answer."""
        asked = self._asked
        logins: list[tuple[str, dict[str, Any]]] = [
            (user, {"unix_socket": str(self._facts.path(asked.socket)), "user": user}) for user in asked.users
        ]
        if asked.password and self._facts.path(asked.ca).is_file():
            # After a copy from elsewhere the accounts by socket are gone until they are made again.
            user = asked.users[0]
            by_network = {"host": asked.address, "port": asked.port, "user": user, "password": asked.password}
            logins.append((user, {**by_network, "ca": str(self._facts.path(asked.ca))}))
        for user, options in logins:
            try:
                with self._connect(**options, timeout=5) as connection:
                    return user, MemberServer(Member(asked.address, asked.address), connection).look()
            except StoreError:
                continue
        return None, None
