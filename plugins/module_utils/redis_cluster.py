# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's end: a primary with its replicas, and the Sentinels that watch them.

Closed, its leader is a replica too, or refuses every write for want of replicas that no cluster has, and no Sentinel
watches. The members keep that in their own files, so a restart or a lost member changes nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import cast

from .redis_backlog import put_back
from .redis_client import Connection
from .redis_group import LEAST_REPLICAS, Group
from .redis_local import Followed
from .redis_members import Members, MemberState
from .redis_quiet import quieten, sessions
from .redis_sentinel import SentinelOptions, Sentinels
from .redis_server import NOBODY, Server
from .redis_settings import Member, RedisSettings
from .stores.base import CLUSTER, End, NotCaughtUp, Session, StoreError, Unreachable

_TIMEOUT = 5.0
_PROGRESS_SECONDS = 20.0


class ClusterEnd:
    """The members. Whoever leads them now is asked anew each time, because a failover needs nobody's leave."""

    name = CLUSTER

    def __init__(
        self,
        settings: RedisSettings,
        connect: Callable[..., Connection] = Connection,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._clock = clock
        self._wait = wait
        self.members = Members(settings.members, self.connect)
        options = SentinelOptions(
            settings.sentinel_port, settings.sentinel_name, settings.sentinel_user, settings.sentinel_password
        )
        self.sentinels = Sentinels(settings.members, options, self._sentinel)
        self.group = Group(self.members, self.sentinels, clock, wait)

    def connect(self, member: Member, timeout: float = _TIMEOUT, database: int = 0) -> Connection:
        """Open a connection to a member, as administrator."""
        return self._login(member.address, member.port, timeout, database)

    def dial(self, timeout: float, database: int = 0) -> Connection:
        """A connection to the leader for the caller alone, for long reading."""
        return self.connect(self.members.leader(), timeout, database)

    def server(self) -> Server:
        """The leader's server."""
        return self.members.server(self.members.leader())

    def primary(self) -> Member:
        """The member that leads, where it follows nobody."""
        leader = self.members.leader()
        if not self.members.server(leader).look().master:
            raise Unreachable("the Redis cluster has no primary: wait for its failover, or run recover.yml")
        return leader

    def takes_writes(self) -> str | None:
        """The name of the member that takes writes now."""
        for state in self.states():
            known = state.replication
            if known is not None and known.master and not state.fenced and known.good_replicas >= LEAST_REPLICAS:
                return state.name
        return None

    def states(self) -> list[MemberState]:
        """What every member says of itself."""
        return self.members.states()

    def closed(self) -> bool:
        """Whether every member that answers refuses all writes, and no Sentinel would let one take them."""
        states = [one for one in self.states() if one.reachable]
        if not states:
            raise Unreachable("no member of the Redis cluster answers: start them, or run recover.yml")
        return all(one.refuses for one in states) and not any(self.sentinels.watched().values())

    def close(self, timeout: float) -> None:
        """Fence it at a moment when no client is in the middle of something. Its followers go on."""
        settings = self._settings
        self.sentinels.forget()
        server = self.server()
        if not server.refuses():
            seconds = min(timeout, settings.limits.quiet_seconds)
            quieten(server.link, settings.accounts, seconds, timeout, self._clock, self._wait)
        try:
            self.group.fence()
        except StoreError:
            with contextlib.suppress(StoreError):
                server.unpause()
            raise

    def open(self) -> None:
        """Take writes, also after restarts and failovers."""
        self.group.open()
        put_back(self._database)

    def position(self) -> str:
        """What its leader has."""
        return self.server().look().position

    def reach(self, position: str, timeout: float) -> None:
        """Wait until its leader has everything up to a position, and another member, too: each may be lost."""
        ends = self._clock() + timeout
        leader = self.members.leader()
        self.members.server(leader).reach(position, timeout)
        while True:
            if any(one.look().has(position) for one in self.members.others(leader)):
                return
            if self._clock() >= ends:
                raise NotCaughtUp(
                    f"no replica of member {leader.name} has what it has within {timeout:.1f} s: try again when they "
                    "follow"
                )
            self._wait(0.005)

    def sessions(self) -> list[Session]:
        """The sessions of clients on its primary."""
        return sessions(self.members.server(self.primary()).link, self._settings.accounts)

    def follow(self, other: End) -> None:
        """Replicate from the local end: the leader from there, the others from it. Stays closed."""
        followed = cast(Followed, other)
        if not self.closed():
            raise StoreError("the cluster takes writes, so it must not follow the local end: close it first")
        leader = self.members.leader()
        server = self.members.server(leader)
        server.fence()
        server.follow(followed.origin())
        server.unpause()
        self.members.chain(leader)
        self.group.fence()
        server.await_link(followed.position(), _PROGRESS_SECONDS)

    def unfollow(self) -> None:
        """Nothing to do: opening ends it, and until then what comes from a closed end does no harm."""

    def leave(self) -> None:
        """Follow the local end no more, and stay closed."""
        leader = self.members.leader()
        self.group.fence()
        self.members.server(leader).follow(NOBODY)
        self.members.server(leader).keep()

    def origin(self) -> tuple[str, int]:
        """Where the local end gets its writes: through the edge, from any replica of the primary."""
        return self._settings.edge_address, self._settings.way_back_port

    def _database(self, number: int) -> Connection:
        return self.dial(_TIMEOUT, number)

    def _sentinel(self, member: Member) -> Connection:
        return self._login(member.address, self._settings.sentinel_port, _TIMEOUT, 0)

    def _login(self, host: str, port: int, timeout: float, database: int) -> Connection:
        settings = self._settings
        return self._connect(
            host=host,
            port=port,
            user=settings.admin_user,
            password=settings.admin_password,
            ca=settings.ca,
            timeout=timeout,
            database=database,
        )
