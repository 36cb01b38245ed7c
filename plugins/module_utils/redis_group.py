# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A primary, its replicas and their Sentinels: opened, closed, completed, restarted and recovered.

B(Open) a cluster has one member that takes writes while replicas are near, and Sentinels that watch it. B(Closed) every
member refuses all writes and no Sentinel watches, and the leader may follow a server outside. Either is kept by the
members' own files, and nothing here changes one into the other but C(open) and C(close).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .redis_members import Members, MemberState, lead
from .redis_sentinel import Sentinels
from .redis_server import NOBODY, Server
from .redis_settings import Member
from .stores.base import StoreError, Unreachable

#: How many replicas have to be near for a primary to take writes, and how near, in seconds: an earlier primary that was
#: cut off stops within that time.
LEAST_REPLICAS = 1
REPLICA_LAG = 5
_REPLICA_SECONDS = 10.0
#: A Sentinel has an earlier primary follow after it has seen it for 8 s; then that has to copy what it lacks.
_CONVERSION_SECONDS = 120.0


@dataclass(frozen=True)
class Look:
    """The cluster at one moment."""

    states: Sequence[MemberState]
    leader: str | None
    watched: dict[str, tuple[str, int] | None]

    @property
    def open(self) -> bool:
        """Whether a member takes writes."""
        return any(one.reachable and not one.refuses for one in self.states)

    @property
    def closed(self) -> bool:
        """Whether all that answer refuse writes and no Sentinel watches."""
        answering = [one for one in self.states if one.reachable]
        return bool(answering) and all(one.refuses for one in answering) and not any(self.watched.values())

    @property
    def whole(self) -> bool:
        """Whether everybody answers and follows, and all Sentinels watch, or none in a closed cluster."""
        following = all(
            one.replication is not None and (one.name == self.leader or one.replication.link_up) for one in self.states
        )
        watching = {address is not None for address in self.watched.values()}
        return following and len(self.watched) == len(self.states) and watching == {not self.closed}


class Group:
    """The members and Sentinels together."""

    def __init__(
        self,
        members: Members,
        sentinels: Sentinels,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.members = members
        self.sentinels = sentinels
        self._clock = clock
        self._wait = wait

    def look(self) -> Look:
        """Ask everybody."""
        states = self.members.states()
        known = {one.name: one for one in states if one.replication is not None}
        leader = lead(known, {(one.address, one.port): one.name for one in self.members.all}) if known else None
        return Look(states, leader, self.sentinels.watched())

    def open(self) -> None:
        """Let the leader take writes, first of all; then see that it lasts."""
        states, outlived = self._outlive_leader()
        leader, others = self._leader_and_others(states)
        server = self.members.server(leader)
        server.lead()
        for one in others:
            one.follow((leader.address, leader.port))
        self._await_replica(server)
        if outlived:
            self._wait(REPLICA_LAG + 1.0)
        server.lift_fence(LEAST_REPLICAS, REPLICA_LAG)
        server.unpause()
        for one in others:
            one.lift_fence(LEAST_REPLICAS, REPLICA_LAG)
            one.keep()
        server.keep()
        self.sentinels.watch(leader)

    def fence(self) -> None:
        """Let every member that answers refuse all writes, also after a restart or a failover; the leader first."""
        leader, others = self._leader_and_others(self.members.states())
        for one in (self.members.server(leader), *others):
            one.fence()
        for one in (self.members.server(leader), *others):
            one.keep()

    def begin(self) -> None:
        """Open a new cluster of empty members."""
        held = [f"{one.name} ({one.keys} keys)" for one in self.members.states() if one.keys]
        if held:
            raise StoreError(
                f"members hold data and no cluster is in service: {', '.join(held)}; run recover.yml if they were one, "
                "or empty them"
            )
        self._refuse_silent()
        self.open()

    def complete(self) -> bool:
        """Bring members and Sentinels that stand outside into a cluster in service, as it is; says what changed."""
        found = self.look()
        if found.leader is None:
            return False
        leader = self.members.named(found.leader)
        changed = False
        back: list[str] = []
        for state in found.states:
            if state.replication is None or state.name == leader.name:
                continue
            server = self.members.server(self.members.named(state.name))
            here = (state.replication.host, state.replication.port)
            if state.replication.master:
                back.append(state.name)
            elif here != (leader.address, leader.port):
                changed |= server.follow((leader.address, leader.port))
            if found.open and state.fenced:
                server.lift_fence(LEAST_REPLICAS, REPLICA_LAG)
                changed = True
            if found.closed and not state.fenced:
                server.fence()
                changed = True
            server.keep()
        if found.open:
            changed |= self.sentinels.watch(leader)
            if back:
                self._await_converted(back, leader.name)
                changed = True
        return changed

    def restart(self, names: Iterable[str], seconds: float) -> None:
        """Restart members one by one, the leader last, each only while all others are well.

        A server that is told to end is started again by systemd.
        """
        wanted = set(names)
        self._await_whole(seconds, "before the first restart")
        found = self.look()
        for name in sorted(wanted, key=lambda one: (one == found.leader, one)):
            current = self.look()
            if name == current.leader and current.open:
                self._hand_over(name, seconds)
            self._restart(self.members.named(name), seconds)
            self._await_whole(seconds, f"after the restart of {name}")

    def recover(self, force: bool) -> bool:
        """Bring a cluster back after all members were down; a closed one stays closed."""
        if not force:
            self._refuse_silent()
        found = self.look()
        if found.leader is None:
            raise Unreachable("no member of the Redis cluster answers: start them")
        if found.open or found.closed:
            return self.complete()
        # Open by their files, but nobody leads: the one that has most does.
        self.open()
        return True

    # Parts

    def _leader_and_others(self, states: Sequence[MemberState]) -> tuple[Member, list[Server]]:
        known = {one.name: one for one in states if one.replication is not None}
        if not known:
            raise Unreachable("no member of the Redis cluster answers: start them, or run recover.yml")
        name = lead(known, {(one.address, one.port): one.name for one in self.members.all})
        others = [self.members.server(self.members.named(one)) for one in known if one != name]
        return self.members.named(name), others

    def _outlive_leader(self) -> tuple[Sequence[MemberState], bool]:
        """Wait for a leader that does not answer; what the members say then, and whether it still does not.

        An open() that broke off may have left it taking writes, with no Sentinel to tell. Once its followers have left
        it, it stops within the time that replicas may lag.
        """
        ends = self._clock() + 2 * REPLICA_LAG
        while True:
            states = self.members.states()
            silent = self._leader_is_silent(states)
            if not silent or self._clock() >= ends:
                return states, silent
            self._wait(0.2)

    def _leader_is_silent(self, states: Sequence[MemberState]) -> bool:
        known = {one.name: one.replication for one in states if one.replication is not None}
        if any(one.master for one in known.values()):
            return False
        followed = {(one.host, one.port) for one in known.values()}
        return any((one.address, one.port) in followed for one in self.members.all if one.name not in known)

    def _await_converted(self, names: Sequence[str], leader: str) -> None:
        """Leave earlier primaries that are back to the Sentinels, who know of the election.

        They have no replica by then, so they take no writes.
        """

        def converted() -> bool:
            states = [one for one in self.members.states() if one.name in names]
            return all(one.replication is not None and one.replication.link_up for one in states)

        self._await(
            converted,
            _CONVERSION_SECONDS,
            f"{', '.join(names)} is a primary beside {leader}, and no Sentinel has it follow: see their logs",
        )

    def _await_replica(self, server: Server) -> None:
        self._await(
            lambda: server.look().good_replicas >= LEAST_REPLICAS,
            _REPLICA_SECONDS,
            f"{server.name} has no replica, so it would refuse writes: see the logs of the other members",
            0.002,
        )

    def _await_whole(self, seconds: float, when: str) -> None:
        self._await(lambda: self.look().whole, seconds, f"the cluster is not whole {when}: {self._ill()}")

    def _hand_over(self, name: str, seconds: float) -> None:
        """Have the Sentinels make another member the primary."""
        self.sentinels.fail_over()

        def moved() -> bool:
            found = self.look()
            return found.open and found.leader != name and found.whole

        self._await(moved, seconds, f"the Sentinels did not make another member than {name} the primary")

    def _restart(self, member: Member, seconds: float) -> None:
        server = self.members.server(member)
        before = server.process()
        server.end()

        def back() -> bool:
            try:
                return server.process() != before
            except Unreachable:
                return False

        self._await(back, seconds, f"member {member.name} did not come back: see its log")

    def _ill(self) -> str:
        found = self.look()
        told = []
        for one in found.states:
            if one.replication is None:
                told.append(f"{one.name} {one.error}")
            elif one.name != found.leader and not one.replication.link_up:
                told.append(f"{one.name} does not follow")
        silent = {one.name for one in found.states} - set(found.watched)
        told += [f"the Sentinel of {name} does not answer" for name in sorted(silent)]
        return ", ".join(told) or "not all Sentinels watch"

    def _refuse_silent(self) -> None:
        silent = [f"{one.name} ({one.error})" for one in self.members.states() if not one.reachable]
        if silent:
            raise StoreError(f"members of the cluster do not answer: {', '.join(silent)}; start them, then try again")

    def _await(self, reached: Callable[[], bool], seconds: float, trouble: str, pause: float = 0.2) -> None:
        ends = self._clock() + seconds
        while not reached():
            if self._clock() >= ends:
                raise StoreError(f"{trouble} (after {seconds:.0f} s)")
            self._wait(pause)


def described(found: Look) -> dict[str, Any]:
    """What a module returns of a cluster."""
    members = []
    for one in found.states:
        known = one.replication
        members.append(
            {
                "name": one.name,
                "reachable": one.reachable,
                "role": one.role,
                "version": one.version,
                "link_up": known is not None and (known.master or known.link_up),
                "follows": None if known is None or known.master or (known.host, known.port) == NOBODY
                else f"{known.host}:{known.port}",
                "fenced": one.fenced,
                "key_count": one.keys,
                "watched_by_sentinel": found.watched.get(one.name) is not None,
                "error": one.error,
            }
        )  # fmt: skip
    return {
        "in_service": found.open,
        "closed": found.closed,
        "whole": found.whole,
        "primary": found.leader if found.open else None,
        "leader": found.leader,
        "members": members,
    }
