# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's end: a Group Replication cluster, reached at whichever member is its primary."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import cast

from . import mysql_channel as channels
from . import mysql_gtid as gtid
from .mysql_channel import MIGRATE, Origin
from .mysql_client import Connection
from .mysql_group import Group, MemberState
from .mysql_link import Link
from .mysql_local import Followed
from .mysql_member import Member, MemberServer
from .mysql_sessions import clients
from .mysql_settings import MysqlSettings, accounts
from .stores.base import CLUSTER, End, NotCaughtUp, Session, StoreError, Unreachable

_TIMEOUT = 10.0
_FORMING_SECONDS = 120.0
_PROGRESS_SECONDS = 20.0
_LOCK_SECONDS = 4.0
_LEADS = """
SELECT SUM(member_id = @@server_uuid AND member_state = 'ONLINE' AND member_role = 'PRIMARY') = 1
       AND SUM(member_state IN ('ONLINE', 'RECOVERING')) * 2 > COUNT(*) AS leads
FROM performance_schema.replication_group_members
"""


class ClusterEnd:
    """The group. The member that was its primary a moment ago is asked first, so a flip talks to one server only."""

    name = CLUSTER

    def __init__(self, settings: MysqlSettings, connect: Callable[..., Connection] = Connection) -> None:
        self._settings = settings
        self._open = connect
        self._links = {member.name: Link(partial(self.connect, member)) for member in settings.members}
        self._last: Member | None = None
        known = (settings.members, settings.group_name, accounts(settings))
        #: For forming, where a statement may take its time.
        self.group = Group(*known, partial(self.connect, timeout=_FORMING_SECONDS))
        self._looked_at = Group(*known, self.connect)

    def connect(self, member: Member, timeout: float = _TIMEOUT) -> Connection:
        """Open a connection to a member, as administrator."""
        settings = self._settings
        return self._open(
            host=member.address,
            port=member.port,
            user=settings.admin_user,
            password=settings.admin_password,
            ca=settings.ca,
            timeout=timeout,
        )

    def dial(self, timeout: float) -> Connection:
        """A connection to the primary for the caller alone, for long reading."""
        return self.connect(self.primary(), timeout)

    def link(self, member: Member) -> Link:
        """The kept connection to a member."""
        return self._links[member.name]

    def primary(self) -> Member:
        """The member that leads the group now."""
        last = self._last
        if last is not None and self._leads(last):
            return last
        for member in self._settings.members:
            if member is not last and self._leads(member):
                self._last = member
                return member
        raise Unreachable("the cluster has no primary that a majority of its members agrees on: run recover.yml")

    @property
    def server(self) -> Link:
        """The kept connection to the primary."""
        return self.link(self.primary())

    def closed(self) -> bool:
        """Whether it refuses writes from every client, and would after a failover."""
        state = self._on_primary().look()
        return state.super_read_only and not state.open_action

    def close(self, timeout: float) -> None:
        """Refuse writes from every client, now and after a failover."""
        server = self._on_primary()
        try:
            server.set_open_action(False)
            server.set_super_read_only(True, min(timeout, _LOCK_SECONDS))
        except Unreachable:
            with contextlib.suppress(StoreError):
                # What was asked for may still be waiting in there; it must not happen later.
                self._end_other_sessions(server.member)
            raise

    def open(self) -> None:
        """Take writes, now and after a failover."""
        server = self._on_primary()
        # In this order: on a read-only primary the action cannot be changed.
        server.set_super_read_only(False, _LOCK_SECONDS)
        server.set_open_action(True)
        if self.closed():
            raise StoreError("the cluster's primary changed while it was opened")

    def position(self) -> str:
        """What it has committed, as a GTID set."""
        return gtid.plain(self.server.value("SELECT @@global.gtid_executed"))

    def reach(self, position: str, timeout: float) -> None:
        """Wait until its primary has applied a position."""
        server = self.server
        if not channels.reach(server, position, timeout):
            raise NotCaughtUp(
                f"the cluster has not applied everything of the local end within {timeout:.1f} s"
                f" ({channels.trouble(channels.look(server, MIGRATE))}): try again when its lag is small"
            )

    def sessions(self) -> list[Session]:
        """The sessions of clients on its primary."""
        known = accounts(self._settings)
        return clients(self.server, (known.admin_user, known.replication_user, known.health_user))

    def follow(self, other: End) -> None:
        """Replicate from the local end on whichever member is the primary; stays closed."""
        followed = cast(Followed, other)
        if not self.closed():
            raise StoreError("the cluster takes writes, so it must not follow the local end: close it first")
        server = self.server
        ours, theirs = self.position(), followed.position()
        extra = gtid.plain(server.value("SELECT GTID_SUBTRACT(%s, %s)", (ours, theirs)))
        if extra:
            raise StoreError(
                f"the cluster holds {gtid.count(extra)} transaction(s) that the local end lacks ({extra}), so its "
                "data do not "
                "descend from it: remove the data of its members (playbook and role mysql tell how), then follow again"
            )
        self.define_channel(followed.origin())
        state = channels.look(server, MIGRATE)
        if state is None or not state.runs:
            channels.start(server, MIGRATE)
        channels.await_progress(server, MIGRATE, theirs, _PROGRESS_SECONDS)

    def define_channel(self, origin: Origin) -> bool:
        """Let every member know the channel: after a failover the new primary starts it by itself.

        MySQL also refuses a joining member that lacks it, even one that would get it with its copy. So those outside
        the group are told, too.
        """
        primary = self.primary()
        changed = False
        for member in (*(one for one in self.reachable() if one != primary), primary):
            state = channels.look(self.link(member), MIGRATE)
            if state is None or (state.host, state.port) != (origin.host, origin.port):
                channels.define(self.link(member), MIGRATE, origin, leads=member == primary)
                changed = True
        channels.list_origin(self.link(primary), MIGRATE, origin)
        return changed

    def unfollow(self) -> None:
        """Stop replicating from the local end. The other members do not replicate; see leave_channels()."""
        channels.forget(self.server, MIGRATE)

    def leave_channels(self) -> None:
        """Remove the channel from every member, so that none starts it when it becomes the primary."""
        primary = self.primary()
        for member in self.reachable():
            channels.forget(self.link(member), MIGRATE, leads=member == primary)

    def origin(self) -> Origin:
        """Where the local end gets its transactions: the primary, or after a failover another member of the group."""
        settings, primary = self._settings, self.primary()
        return Origin(
            primary.address,
            primary.port,
            settings.replication_user,
            settings.replication_password,
            group=settings.group_name,
        )

    def reachable(self) -> list[Member]:
        """The members that answer now, in the group or not."""
        states = {state.name: state for state in self.states()}
        return [one for one in self._settings.members if states[one.name].reachable]

    def states(self) -> list[MemberState]:
        """What every member says of itself."""
        return self._looked_at.look()

    def _leads(self, member: Member) -> bool:
        try:
            return bool(self.link(member).value(_LEADS))
        except StoreError:
            return False

    def _on_primary(self) -> MemberServer:
        member = self.primary()
        return MemberServer(member, self.link(member).connection())

    def _end_other_sessions(self, member: Member) -> None:
        with self.connect(member) as connection:
            for row in connection.query(
                "SELECT id FROM performance_schema.processlist WHERE user = %s AND id <> CONNECTION_ID()"
                " AND info LIKE 'SET GLOBAL super_read_only%%'",
                (self._settings.admin_user,),
            ):
                connection.execute(f"KILL {int(row['id'])}")
