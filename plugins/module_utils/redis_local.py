# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local end: the Redis container that Tutor runs.

It boots closed: the file that it reads when it starts (Tutor's patch `redis-conf`) makes it follow nobody's address, so
it refuses writes until somebody who has read the pointer opens it. That is what makes its fence last.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Protocol, cast

from .docker import Docker
from .local_container import address_of
from .redis_backlog import put_back
from .redis_client import Connection
from .redis_link import Link
from .redis_quiet import quieten, sessions
from .redis_server import NOBODY, Server
from .redis_settings import RedisSettings
from .stores.base import LOCAL, End, Session, StoreError

_TIMEOUT = 5.0
_PROGRESS_SECONDS = 20.0
#: The line of the boot file that keeps a container closed.
BOOTS_CLOSED = "replicaof {} {}".format(*NOBODY)


class Followed(Protocol):
    """What an end offers to the one that follows it."""

    def origin(self) -> tuple[str, int]:
        """Where its writes can be had."""

    def position(self) -> str:
        """What it has."""


class LocalEnd:
    """The container, reached at the address that it has now."""

    name = LOCAL

    def __init__(
        self,
        settings: RedisSettings,
        docker: Docker | None = None,
        connect: Callable[..., Connection] = Connection,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._docker = docker or Docker()
        self._connect = connect
        self._clock = clock
        self._wait = wait
        self.server = Server("the local end", Link(self.login), clock, wait)

    def login(self, timeout: float = _TIMEOUT, database: int = 0) -> Connection:
        """Open a connection as our administrator, or as nobody while there is none yet."""
        settings = self._settings
        return self._connect(
            host=self.address(),
            port=settings.service_port,
            user=settings.admin_user,
            password=settings.admin_password,
            timeout=timeout,
            database=database,
        )

    def dial(self, timeout: float, database: int = 0) -> Connection:
        """A connection for the caller alone, for long reading."""
        return self.login(timeout, database)

    def address(self) -> str:
        """Where the container is now."""
        return address_of(self._docker, self._settings.compose_project, self._settings.service)

    def boots_closed(self) -> bool:
        """Whether its next start would be closed."""
        try:
            lines = self._settings.boot_file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return BOOTS_CLOSED in (" ".join(line.split()) for line in lines)

    def refuse_open_boot(self) -> None:
        """Refuse to build on a container that would take writes after its next start, whatever the pointer says."""
        if not self.boots_closed():
            raise StoreError(
                f"{self._settings.boot_file} lacks the line '{BOOTS_CLOSED}', so a restarted container would take "
                "writes whoever serves: run `tutor config save` and see that the plugin tutorops_scale is enabled"
            )

    def closed(self) -> bool:
        """Whether it refuses writes from every client, and would still do so after its own restart."""
        return self.server.refuses() and self.boots_closed()

    def close(self, timeout: float) -> None:
        """Fence it at a moment when no client is in the middle of something. Its followers go on."""
        self.refuse_open_boot()
        if self.server.refuses():
            return
        settings = self._settings
        seconds = min(timeout, settings.limits.quiet_seconds)
        quieten(self.server.link, settings.accounts, seconds, timeout, self._clock, self._wait)
        try:
            self.server.fence()
        except StoreError:
            with contextlib.suppress(StoreError):
                self.server.unpause()
            raise

    def open(self) -> None:
        """Take writes. A restart closes it, and the follower opens it again (see redis_tend.py)."""
        self.server.lead()
        self.server.lift_fence(0, 10)
        self.server.unpause()
        self._admit(True)
        put_back(self._database)

    def position(self) -> str:
        """What it has."""
        return self.server.look().position

    def reach(self, position: str, timeout: float) -> None:
        """Wait until it has everything up to a position."""
        self.server.reach(position, timeout)

    def sessions(self) -> list[Session]:
        """The sessions of clients on it."""
        return sessions(self.server.link, self._settings.accounts)

    def follow(self, other: End) -> None:
        """Replicate from the cluster, from any member that follows its primary; stays closed."""
        followed = cast(Followed, other)
        if not self.closed():
            raise StoreError("the local end takes writes, so it must not follow the cluster: close it first")
        self.rejoin(followed.origin())
        self.server.await_link(followed.position(), _PROGRESS_SECONDS)

    def rejoin(self, address: tuple[str, int]) -> None:
        """Replicate from an address, stay closed, and do not wait for the link."""
        settings = self._settings
        # Nobody may take it for one of the cluster's own: it cannot be reached at the address that it announces.
        self.server.set(
            masteruser=settings.replication_user,
            masterauth=settings.replication_password,
            replica_priority=0,
            replica_announce_ip=settings.edge_address,
            replica_announce_port=1,
        )
        self.server.follow(address)
        # Fenced even if it were told to lead.
        self.server.fence()
        self.server.unpause()
        self._admit(False)

    def unfollow(self) -> None:
        """Nothing to do: opening ends it, and until then what comes from a closed end does no harm."""

    def leave(self) -> None:
        """Follow nobody, and stay closed."""
        self.server.fence()
        self.server.follow(NOBODY)
        self.server.set(masterauth="")

    def origin(self) -> tuple[str, int]:
        """Where the cluster gets its writes: through the edge, which follows the container."""
        return self._settings.source_address, self._settings.source_port

    def _database(self, number: int) -> Connection:
        return self.login(database=number)

    def _admit(self, yes: bool) -> None:
        """Whether the platform's account may log in: its refusal is one that clients try again after."""
        self.server.link.call("ACL", "SETUSER", self._settings.app_user, "on" if yes else "off")
