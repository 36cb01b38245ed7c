# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the cluster follow Tutor's container: its members join the container's set one after the other, closed.

A closed member has no vote: whatever happens to the cluster, the container goes on serving as if it were alone. What
the set lists decides where an interrupted run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from . import mongodb_config as configs
from .mongodb_client import Client
from .mongodb_config import Config
from .mongodb_local import LocalNode
from .mongodb_node import UNINITIATED, NodeState
from .mongodb_set import ReplicaSet
from .mongodb_settings import Member, MongodbSettings
from .stores.base import LOCAL, Progress, StoreError, Unreachable

_INTERVAL = 0.25
_CATCH_UP_SECONDS = 60.0


class Follow:
    """One run of the stage `follow`."""

    def __init__(
        self,
        settings: MongodbSettings,
        local: LocalNode,
        members: ReplicaSet,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._local = local
        self._set = members
        self._progress = progress
        self._clock = clock
        self._wait = wait

    def run(self) -> dict[str, Any]:
        """Follow, and return what it took: whether anything changed, the bytes copied, the members."""
        begun = self._clock()
        self._refuse_unprepared()
        config = self._set.config()
        self._refuse_strangers(config)
        listed = configs.hosts(config)
        states = self._set.look([member.host for member in self._settings.members])
        for member, state in zip(self._settings.members, states, strict=True):
            self._refuse(member, state, member.host in listed)
        changed = False
        size = data_size(self._local.client())
        for member in self._settings.members:
            changed |= self._join(member, size)
        changed |= self._set.seat(
            lambda config, _primary: configs.at_rest(config, LOCAL, self._settings.local_host),
            self._settings.limits.config_seconds,
        )
        self._catch_up()
        return {
            "changed": changed,
            "way": "initial sync",
            "bytes": size,
            "seconds": round(self._clock() - begun, 3),
            "position": self._set.committed_text(),
            "members": [member.name for member in self._settings.members],
        }

    def _refuse_unprepared(self) -> None:
        state = self._local.state()
        if not state.reachable:
            raise Unreachable(f"Tutor's MongoDB cannot be asked: {state.error}")
        if not state.in_set or state.set_name != self._settings.set_name:
            raise StoreError(
                f"Tutor's MongoDB is {state.state}, not a member of the set {self._settings.set_name}: run "
                "offload.yml, whose attach makes it one"
            )

    def _refuse_strangers(self, config: Config) -> None:
        known = {self._settings.local_host, *(member.host for member in self._settings.members)}
        extra = [host for host in configs.hosts(config) if host not in known]
        if extra:
            raise StoreError(
                f"the set of Tutor's MongoDB has members that nobody named: {', '.join(extra)}; add them to "
                "mongodb_hosts, or take them out of the set"
            )

    def _refuse(self, member: Member, state: NodeState, listed: bool) -> None:
        if not state.reachable:
            raise Unreachable(
                f"member {member.name} cannot be asked ({state.error}): start MongoDB there or open the way to it"
            )
        if not listed and state.state != UNINITIATED:
            raise StoreError(
                f"member {member.name} is not empty, it is {state.state}"
                + (f" of the set {state.set_name}" if state.set_name else "")
                + ": what it holds would be lost; if nobody wants it, stop MongoDB there, empty its data directory, "
                "and start it"
            )

    def _join(self, member: Member, size: int) -> bool:
        """Bring one member in, and wait until it has everything that it copies."""

        def add(config: Config) -> dict[str, Any] | None:
            return None if member.host in configs.hosts(config) else configs.with_member(config, member.host)

        changed = self._set.change(add, self._settings.limits.config_seconds)
        self._await_copy(member, size)
        return changed

    def _await_copy(self, member: Member, size: int) -> None:
        limits = self._settings.limits
        ends = self._clock() + limits.follow_seconds
        signs, since = (("", -1), self._clock())
        while True:
            state = self._set.look_at(member.host)
            if state.healthy:
                return
            done = self._copied(member) if state.state == "STARTUP2" else 0
            self._progress("copy", {"member": member.name, "bytes_done": min(done, size), "bytes_total": size})
            now = self._clock()
            if (state.state, done) != signs:
                signs, since = (state.state, done), now
            if now - since > limits.patience_seconds or now > ends:
                raise StoreError(
                    f"member {member.name} has shown no progress in copying for {now - since:.0f} s ("
                    f"{state.state or state.error}): see MongoDB's log there; it has to reach "
                    f"{self._settings.local_host}"
                )
            self._wait(_INTERVAL)

    def _copied(self, member: Member) -> int:
        try:
            status = self._set.client(member.host).command("replSetGetStatus", initialSync=1)
        except StoreError:
            return 0
        return int((status.get("initialSyncStatus") or {}).get("approxTotalBytesCopied") or 0)

    def _catch_up(self) -> None:
        """Wait until everything that was committed when this began is everywhere."""
        moment = self._set.committed()
        for member in self._settings.members:
            self._progress("catch up", {"member": member.name})
            if not self._set.reach(member.host, moment, _CATCH_UP_SECONDS):
                raise StoreError(f"member {member.name} does not catch up: see MongoDB's log there")


def data_size(client: Client) -> int:
    """How many bytes the databases hold that move, uncompressed."""
    listed: Sequence[dict[str, Any]] = client.command("listDatabases", nameOnly=True)["databases"]
    names = [one["name"] for one in listed if one["name"] not in ("local", "config")]
    return sum(int(client.command("dbStats", database=name)["dataSize"]) for name in names)
