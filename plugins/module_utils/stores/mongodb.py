# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MongoDB store: Tutor's container and a cluster, both members of one replica set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from .. import mongodb_config as configs
from ..cutover import Flip, Limits, Note
from ..docker import Docker
from ..flip_checks import refuse_few, refuse_uncompared
from ..mongodb_client import Client
from ..mongodb_compare import Compare
from ..mongodb_follow import Follow
from ..mongodb_local import LocalNode
from ..mongodb_move import Move, RequestDoor
from ..mongodb_node import strangers
from ..mongodb_pause import PacketPause, Pause
from ..mongodb_platform import Platform, open_platform
from ..mongodb_prepare import Prepare
from ..mongodb_set import ReplicaSet
from ..mongodb_settings import MongodbSettings
from ..mongodb_status import stands
from ..mongodb_tend import tender
from .base import CLUSTER, Comparison, Finding, Progress, StoreError, Tend, Unreachable

#: Reading a batch of large documents takes its time.
_READ_SECONDS = 60.0


class MongodbStore:
    """Drives MongoDB's journey on the app server (see stores/base.py)."""

    name = "mongodb"

    def __init__(
        self,
        settings: MongodbSettings,
        door: RequestDoor,
        docker: Docker | None = None,
        connect: Callable[..., Client] = Client,
        platform: Callable[[MongodbSettings], Platform] = open_platform,
        pause: Pause | None = None,
    ) -> None:
        self.settings = settings
        self.door = door
        self.local = LocalNode(settings, docker, connect)
        self.set = open_set(settings, self.local, connect)
        self._connect = connect
        self._prepare = Prepare(settings, self.local, self.set, door.requests, lambda: platform(settings))
        limits = settings.limits
        self._pause = pause or PacketPause(self.local.networks, self.local.address)
        self._move = Move(self.set, settings.local_host, door, self._pause, limits.config_seconds, limits.elect_seconds)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], door: RequestDoor) -> MongodbStore:
        """The store that /etc/tutorops/stores/mongodb.json describes."""
        return cls(MongodbSettings.from_dict(settings), door)

    @staticmethod
    def tend(given: Mapping[str, Any]) -> Tend:
        """What the follower does for the container between stages."""
        settings = MongodbSettings.from_dict(given)
        local = LocalNode(settings)
        return tender(settings, local, open_set(settings, local))

    def plan(self) -> list[Finding]:
        """What stands in the way now; the module store_plan judges the rest before anything is installed."""
        if self.door.pointer() == CLUSTER:
            return [Finding("mongodb.moved", "info", "store", "the cluster serves already")]
        found = []
        for check in (self._refuse_incomplete, self._refuse_strangers):
            try:
                check()
            except StoreError as problem:
                found.append(Finding("mongodb.ready", "blocker", "store", str(problem)))
        return found

    def prepare(self, progress: Progress) -> dict[str, Any]:
        """Make the container the first member of a set: the one restart, for which requests wait."""
        if self.door.pointer() == CLUSTER:
            return {"changed": False, "stall_seconds": 0.0}
        return self._prepare.run(progress)

    def restore(self, progress: Progress) -> dict[str, Any]:
        """Make the container what it was found as, when Tutor is configured for that again."""
        if self.door.pointer() == CLUSTER:
            raise StoreError("store mongodb is served by its cluster: roll it back before you detach it")
        return self._prepare.undo(progress)

    def follow(self, progress: Progress) -> dict[str, Any]:
        """Let the cluster join the container's set, closed; after a cutover, keep the way back going."""
        if self.door.pointer() == CLUSTER:
            changed = not self.committed() and self._keep_way_back()
            return {"changed": changed, "way": "initial sync", "bytes": 0, "position": self.set.committed_text()}
        return Follow(self.settings, self.local, self.set, progress).run()

    def compare(self, progress: Progress) -> Comparison:
        """Compare the primary with a member of the end that follows, by content, as of one moment."""
        local, primary = self.settings.local_host, self.set.primary()
        if primary is None:
            raise Unreachable("the set has no primary, so there is nothing to compare with: run recover.yml")
        members = [member.host for member in self.settings.members]
        following = members[0] if self.door.pointer() != CLUSTER else local
        with self._dial(primary) as mine, self._dial(following) as other:
            return Compare(mine, other, partial(self.set.moment, following, _READ_SECONDS), progress,
                           self.settings.limits.batch).run()  # fmt: skip

    def ready(self) -> None:
        """Refuse a move that would not go well now."""
        self._pause.check()
        if self.door.pointer() == CLUSTER:
            if self.committed():
                raise StoreError(
                    "store mongodb is committed: its old container is no member of the set, so there is no way back"
                )
            self._refuse_lag([self.settings.local_host])
            return
        self._refuse_incomplete()
        self._refuse_lag([member.host for member in self.settings.members])
        refuse_uncompared("mongodb", self.settings.state, self.settings.limits.comparison_seconds)
        self._refuse_strangers()

    def move(self, end: str, limits: Limits, note: Note) -> Flip:
        """Hand the set over to ``end``."""
        return self._move.run(end, limits, note)

    def settle(self, limits: Limits) -> str:
        """Finish or undo a move that was interrupted."""
        return self._move.settle(limits)

    def commit(self) -> None:
        """End the way back: the container leaves the set."""
        local = self.settings.local_host

        def leave(config: configs.Config) -> dict[str, Any] | None:
            return configs.without_members(config, [local]) if local in configs.hosts(config) else None

        self.set.change(leave, self.settings.limits.config_seconds)

    def detach(self) -> bool:
        """Take the cluster's members out of the container's set; restore() does the rest, when Tutor is as it was."""
        if self.door.pointer() == CLUSTER:
            raise StoreError("store mongodb is served by its cluster: roll it back before you detach it")
        local = self.settings.local_host
        if not self.local.state().in_set:
            return False

        def leave(config: configs.Config) -> dict[str, Any] | None:
            others = [host for host in configs.hosts(config) if host != local]
            closed = dict.fromkeys(others, configs.CLOSED)
            return configs.next_config(config, closed) or (configs.without_members(config, others) if others else None)

        return self.set.change(leave, self.settings.limits.config_seconds)

    def status(self) -> dict[str, Any]:
        """Where the store stands, as both ends tell it; one that is silent is named, not hidden."""
        return stands(self.settings, self.door.pointer(), self.local, self.set)

    # Parts

    def committed(self) -> bool:
        """Whether the container has left the set for good."""
        return self.door.pointer() == CLUSTER and self.settings.local_host not in configs.hosts(self.set.config())

    def _keep_way_back(self) -> bool:
        return self.set.seat(
            lambda config, _primary: configs.at_rest(config, CLUSTER, self.settings.local_host),
            self.settings.limits.config_seconds,
        )

    def _dial(self, host: str) -> Client:
        if host == self.settings.local_host:
            return self.local.dial(_READ_SECONDS)
        return connect_member(self.settings, self._connect, host, _READ_SECONDS)

    def _refuse_incomplete(self) -> None:
        states = self.set.look([member.host for member in self.settings.members])
        bad = [f"{one.host} ({one.state or one.error})" for one in states if not one.healthy]
        if bad:
            raise StoreError(
                f"members of the cluster do not replicate: {', '.join(bad)}; bring them back, then try again"
            )
        refuse_few(len(states))

    def _refuse_lag(self, followers: list[str]) -> None:
        for host, seconds in self.set.lags(followers).items():
            if seconds > self.settings.limits.lag_seconds:
                raise StoreError(f"member {host} is {seconds:.0f} s behind: wait until it has caught up")

    def _refuse_strangers(self) -> None:
        found = strangers(self.local.client())
        if len(found) > self.settings.limits.strangers:
            raise StoreError(
                f"clients use Tutor's MongoDB without logging in: {'; '.join(found)}; give them Tutor's "
                "MONGODB_USERNAME and MONGODB_PASSWORD, or stop them, because the cluster would refuse them"
            )


def open_set(settings: MongodbSettings, local: LocalNode, connect: Callable[..., Client] = Client) -> ReplicaSet:
    """The set that both ends form."""

    kept = cache(partial(connect_member, settings, connect))

    def way(host: str) -> Client:
        # The container has another address whenever it was made anew.
        return local.client() if host == settings.local_host else kept(host)

    return ReplicaSet([settings.local_host, *(member.host for member in settings.members)], way)


def connect_member(
    settings: MongodbSettings, connect: Callable[..., Client], host: str, timeout: float = 5.0
) -> Client:
    """A way to a member of the cluster, logged in as the members are among themselves."""
    address, port = configs.split_host(host)
    return connect(address, port, keyfile=settings.keyfile, ca=settings.ca, timeout=timeout)
