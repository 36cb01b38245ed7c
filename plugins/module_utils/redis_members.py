# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The members of the cluster: who leads, who follows whom, and the same told to all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from functools import partial

from .redis_client import Connection
from .redis_info import Replication, keys_by_database, parse_info, replication
from .redis_link import Link
from .redis_server import NOBODY, Server
from .redis_settings import Member
from .stores.base import StoreError, Unreachable

#: For how long a member may think about what it is.
_ASK_SECONDS = 6.0


@dataclass(frozen=True)
class MemberState:
    """What a member says of itself; ``error`` says why it says nothing."""

    name: str
    reachable: bool
    replication: Replication | None = None
    version: str = ""
    keys: int = 0
    fenced: bool = False
    error: str = ""

    @property
    def refuses(self) -> bool:
        """Whether it refuses the writes of every client."""
        return self.replication is not None and (self.fenced or not self.replication.master)

    @property
    def role(self) -> str:
        """What it is, in the words of operators."""
        return "" if self.replication is None else ("primary" if self.replication.master else "replica")


class Members:
    """All members; ``connect`` opens a connection to one."""

    def __init__(self, members: tuple[Member, ...], connect: Callable[[Member], Connection]) -> None:
        self.all = members
        self._servers = {one.name: Server(f"member {one.name}", Link(partial(connect, one))) for one in members}
        # One thread each, which keeps its connection: a member that hangs keeps nobody waiting for the others.
        self._askers = {one.name: ThreadPoolExecutor(1, thread_name_prefix=f"ask-{one.name}") for one in members}

    def server(self, member: Member) -> Server:
        """A member's server."""
        return self._servers[member.name]

    def named(self, name: str) -> Member:
        """A member by its name."""
        return next(one for one in self.all if one.name == name)

    def states(self) -> list[MemberState]:
        """What every member says of itself, all asked at once."""
        asked = {one.name: self._askers[one.name].submit(self._state, one) for one in self.all}
        ends = time.monotonic() + _ASK_SECONDS
        return [_told(name, answer, max(ends - time.monotonic(), 0.0)) for name, answer in asked.items()]

    def leader(self) -> Member:
        """The member that the others follow, or have to: writes come to it, from clients or from the source."""
        states = {one.name: one for one in self.states() if one.replication is not None}
        if not states:
            raise Unreachable("no member of the Redis cluster answers: start them, or run recover.yml")
        return self.named(lead(states, {(one.address, one.port): one.name for one in self.all}))

    def chain(self, leader: Member) -> bool:
        """Let every other member that answers follow the leader; returns whether anything changed."""
        changed = False
        for server in self.others(leader):
            changed |= server.follow((leader.address, leader.port))
        return changed

    def others(self, leader: Member) -> Iterator[Server]:
        """The servers of the other members, those that answer."""
        for state in self.states():
            if state.reachable and state.name != leader.name:
                yield self._servers[state.name]

    def _state(self, member: Member) -> MemberState:
        server = self._servers[member.name]
        try:
            info = parse_info(server.link.text("INFO"))
            return MemberState(
                name=member.name,
                reachable=True,
                replication=replication(info),
                version=info.get("redis_version", ""),
                keys=sum(keys_by_database(info).values()),
                fenced=server.fenced(),
            )
        except StoreError as problem:
            return MemberState(member.name, reachable=False, error=str(problem))


def _told(name: str, answer: Future[MemberState], seconds: float) -> MemberState:
    try:
        return answer.result(seconds)
    except TooLate:
        answer.cancel()
        return MemberState(name, reachable=False, error=f"member {name} did not answer within {_ASK_SECONDS:.0f} s")


def lead(states: dict[str, MemberState], names: dict[tuple[str, int], str]) -> str:
    """Which of the members that answer leads: a primary, or who follows from outside, or who has most."""
    known = {name: one.replication for name, one in states.items() if one.replication is not None}
    primaries = [name for name, one in known.items() if one.master]
    if primaries:
        # An earlier primary that came back has no replicas, and is told soon.
        return max(primaries, key=lambda name: (known[name].good_replicas, known[name].offset))
    outside = [
        name for name, one in known.items() if (one.host, one.port) not in names and (one.host, one.port) != NOBODY
    ]
    if outside:
        return max(outside, key=lambda name: known[name].offset)
    followed = [names[one.host, one.port] for one in known.values() if (one.host, one.port) in names]
    return max(known, key=lambda name: (followed.count(name), known[name].offset))
