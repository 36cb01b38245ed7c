# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Sentinels beside the members. None watches a closed cluster, so nobody promotes anything there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from .redis_client import Connection, RedisError
from .redis_info import pairs
from .redis_link import Link
from .redis_settings import Member
from .stores.base import StoreError, Unreachable


@dataclass(frozen=True)
class SentinelOptions:
    """How Sentinels watch. Times are milliseconds."""

    port: int
    name: str
    user: str
    password: str
    down_after: int = 5000
    failover_timeout: int = 60000


class Sentinels:
    """All Sentinels; ``connect`` opens a connection to the one beside a member."""

    def __init__(
        self, members: tuple[Member, ...], options: SentinelOptions, connect: Callable[[Member], Connection]
    ) -> None:
        self._members = members
        self._options = options
        self._links = {member.name: Link(partial(connect, member)) for member in members}

    @property
    def quorum(self) -> int:
        """How many have to agree: a majority, without which none leads a failover anyway."""
        return len(self._members) // 2 + 1

    def watched(self) -> dict[str, tuple[str, int] | None]:
        """The address that each Sentinel which answers takes for the primary; None where it watches nothing."""
        found: dict[str, tuple[str, int] | None] = {}
        for member in self._members:
            try:
                found[member.name] = self._watched(member)
            except Unreachable:
                continue
        return found

    def forget(self) -> None:
        """Let none watch any more. Those that do not answer cannot promote anything without a majority."""
        watched = self.watched()
        self._refuse_few(len(watched))
        for member in self._members:
            if watched.get(member.name) is not None:
                try:
                    self._links[member.name].call("SENTINEL", "REMOVE", self._options.name)
                except RedisError as problem:
                    if "No such master" not in str(problem):
                        raise

    def watch(self, leader: Member) -> bool:
        """Let all watch a primary; returns whether anything changed. Those that do not answer are told later."""
        watched = self.watched()
        changed = False
        for member in self._members:
            if member.name in watched:
                changed |= self._watch(member, leader, watched[member.name])
        self._refuse_few(len(watched))
        return changed

    def fail_over(self) -> None:
        """Have them make another member the primary, although this one is well."""
        for member in self._members:
            try:
                self._links[member.name].call("SENTINEL", "FAILOVER", self._options.name)
                return
            except Unreachable:
                continue
        raise Unreachable("no Sentinel answers: start them")

    def described(self, member: Member) -> dict[str, str]:
        """What a Sentinel says of the primary; empty where it watches nothing."""
        try:
            return pairs(self._links[member.name].call("SENTINEL", "MASTER", self._options.name))
        except RedisError as problem:
            if "No such master" in str(problem):
                return {}
            raise

    def _watch(self, member: Member, leader: Member, now: tuple[str, int] | None) -> bool:
        link, options = self._links[member.name], self._options
        address = (leader.address, leader.port)
        changed = False
        if now is not None and now != address:
            link.call("SENTINEL", "REMOVE", options.name)
            now = None
        if now is None:
            link.call("SENTINEL", "MONITOR", options.name, *address, self.quorum)
            changed = True
        wanted: Mapping[str, str | int] = {
            "down-after-milliseconds": options.down_after,
            "failover-timeout": options.failover_timeout,
            "parallel-syncs": 1,
            "quorum": self.quorum,
        }
        told = self.described(member)
        for name, value in wanted.items():
            if told.get(name) != str(value):
                link.call("SENTINEL", "SET", options.name, name, value)
                changed = True
        if changed:
            # It tells no password, so it cannot be asked whether it has this one.
            link.call("SENTINEL", "SET", options.name, "auth-user", options.user, "auth-pass", options.password)
        return changed

    def _watched(self, member: Member) -> tuple[str, int] | None:
        answer = self._links[member.name].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._options.name)
        return (answer[0].decode(), int(answer[1])) if answer else None

    def _refuse_few(self, answering: int) -> None:
        if answering < self.quorum:
            raise StoreError(
                f"only {answering} of {len(self._members)} Sentinels answer, and it takes {self.quorum}: start those "
                "that do not run"
            )
