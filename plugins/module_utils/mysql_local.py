# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local end: the MySQL container that Tutor runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol, cast

from . import mysql_channel as channels
from . import mysql_gtid as gtid
from .docker import Docker
from .local_container import address_of
from .mysql_channel import ROLLBACK, Origin
from .mysql_client import Connection
from .mysql_link import Link
from .mysql_sessions import clients
from .mysql_settings import MysqlSettings
from .stores.base import LOCAL, End, NotCaughtUp, Session, StoreError, Unreachable

#: The fence: what a closed container keeps in its data directory, so that its next start is closed, too.
FENCE = ("super_read_only", "offline_mode")
#: How long `SET super_read_only` may wait for statements, whatever time is left: it waits for two locks, one after the
#: other, and has to be over before our connection gives up and cannot tell what came of it.
_LOCK_SECONDS = 4
_TIMEOUT = 10.0
_PROGRESS_SECONDS = 20.0


class Followed(Protocol):
    """What an end offers to the one that follows it."""

    def origin(self) -> Origin:
        """Where its transactions can be had."""

    def position(self) -> str:
        """What it has committed."""

    def leave_channels(self) -> None:
        """Remove what is left of channels by which it followed the other end itself."""


class LocalEnd:
    """The container, reached at the address that it has now; its certificate names the edge (see mysql_source.py)."""

    name = LOCAL

    def __init__(
        self, settings: MysqlSettings, docker: Docker | None = None, connect: Callable[..., Connection] = Connection
    ) -> None:
        self._settings = settings
        self._docker = docker or Docker()
        self._connect = connect
        self.server = Link(self.login)

    def login(self, user: str | None = None, password: str = "", timeout: float = _TIMEOUT) -> Connection:
        """Open a connection, as our administrator or as somebody else."""
        settings = self._settings
        return self._connect(
            host=settings.source_address,
            user=user or settings.admin_user,
            password=password if user else settings.admin_password,
            ca=settings.ca,
            timeout=timeout,
            via=(self.address(), settings.service_port),
        )

    def dial(self, timeout: float) -> Connection:
        """A connection for the caller alone, for long reading."""
        return self.login(timeout=timeout)

    def address(self) -> str:
        """Where the container is now."""
        return address_of(self._docker, self._settings.compose_project, self._settings.service)

    def closed(self) -> bool:
        """Whether it refuses writes from every client, and would still do so after its own restart."""
        row = self.server.query(
            "SELECT @@global.super_read_only AS fenced, (SELECT COUNT(*) FROM performance_schema.persisted_variables"
            " WHERE variable_name = 'super_read_only' AND variable_value = 'ON') AS kept"
        )[0]
        return bool(row["fenced"]) and bool(row["kept"])

    def close(self, timeout: float) -> None:
        """Fence it durably. Administrators and replication still get in; nobody commits."""
        identity = self.server.value("SELECT CONNECTION_ID()")
        try:
            self.server.execute("SET SESSION lock_wait_timeout = %s", (max(1, min(int(timeout), _LOCK_SECONDS)),))
            self.server.execute("SET PERSIST super_read_only = ON")
            self.server.execute("SET PERSIST offline_mode = ON")
        except Unreachable:
            # What was asked for may still be waiting in there; it must not happen later.
            with contextlib.suppress(StoreError):
                self.server.execute(f"KILL {int(identity)}")
            raise

    def open(self) -> None:
        """Take writes, also after a restart."""
        for variable in FENCE:
            self.server.execute(f"RESET PERSIST IF EXISTS {variable}")
        self.server.execute("SET GLOBAL offline_mode = OFF")
        self.server.execute("SET GLOBAL super_read_only = OFF")
        self.server.execute("SET GLOBAL read_only = OFF")

    def position(self) -> str:
        """What it has committed, as a GTID set."""
        return gtid.plain(self.server.value("SELECT @@global.gtid_executed"))

    def reach(self, position: str, timeout: float) -> None:
        """Wait until it has applied a position."""
        if not channels.reach(self.server, position, timeout):
            state = channels.look(self.server, ROLLBACK)
            raise NotCaughtUp(
                f"the local end has not applied everything of the cluster within {timeout:.1f} s"
                f" ({channels.trouble(state)}): try again when its lag is small"
            )

    def sessions(self) -> list[Session]:
        """The sessions of clients on it."""
        return clients(self.server, (self._settings.admin_user, self._settings.replication_user))

    def follow(self, other: End) -> None:
        """Replicate from the cluster, whoever is its primary; stays closed."""
        followed = cast(Followed, other)
        if not self.closed():
            raise StoreError("the local end takes writes, so it must not follow the cluster: close it first")
        ours, theirs = self.position(), followed.position()
        extra = gtid.plain(self.server.value("SELECT GTID_SUBTRACT(%s, %s)", (ours, theirs)))
        if extra:
            raise StoreError(
                f"the local end holds {gtid.count(extra)} transaction(s) that the cluster lacks ({extra}): it cannot "
                "follow; "
                "compare both ends to see what differs"
            )
        followed.leave_channels()
        state = channels.look(self.server, ROLLBACK)
        if state is None or not state.runs:
            origin = followed.origin()
            channels.define(self.server, ROLLBACK, origin)
            channels.list_origin(self.server, ROLLBACK, origin)
            channels.start(self.server, ROLLBACK)
        channels.await_progress(self.server, ROLLBACK, theirs, _PROGRESS_SECONDS)

    def unfollow(self) -> None:
        """Stop replicating from the cluster."""
        channels.forget(self.server, ROLLBACK)

    def origin(self) -> Origin:
        """Where the cluster gets its transactions: through the edge, which follows the container."""
        settings = self._settings
        return Origin(
            settings.source_address, settings.source_port, settings.replication_user, settings.replication_password
        )

    def leave_channels(self) -> None:
        """Nothing is left: a single server forgets its channel at once."""
