# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Redis store: Tutor's container on one side, a primary with replicas and Sentinels on the other."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ..cutover import FencedStore, Flip, Limits, Note
from ..docker import Docker
from ..flip_checks import refuse_few, refuse_open, refuse_uncompared
from ..paths import remove_file, write_file
from ..redis_backlog import await_workers, put_aside, put_back
from ..redis_client import Connection
from ..redis_cluster import ClusterEnd
from ..redis_compare import Compare, Side
from ..redis_follow import Follow
from ..redis_info import parse_clients
from ..redis_local import LocalEnd
from ..redis_quiet import address_of, clients
from ..redis_settings import RedisSettings
from ..redis_source import RedisSource
from ..redis_status import stands
from ..redis_tend import prober, tender
from .base import (
    CLUSTER,
    LOCAL,
    Comparison,
    Door,
    Finding,
    Probe,
    Progress,
    StoreError,
    Tend,
    Unreachable,
)

_READ_SECONDS = 30.0


class RedisStore(FencedStore):
    """Drives Redis's journey on the app server (see stores/base.py)."""

    name = "redis"
    local: LocalEnd
    cluster: ClusterEnd

    def __init__(
        self,
        settings: RedisSettings,
        door: Door,
        docker: Docker | None = None,
        connect: Callable[..., Connection] = Connection,
    ) -> None:
        self.settings = settings
        self.door = door
        self.local = LocalEnd(settings, docker, connect)
        self.cluster = ClusterEnd(settings, connect)
        self.source = RedisSource(settings, self.local, connect)
        if hasattr(door, "find_primary"):
            door.find_primary = lambda served: self.cluster.takes_writes()

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], door: Door) -> RedisStore:
        """The store that /etc/tutorops/stores/redis.json describes."""
        return cls(RedisSettings.from_dict(settings), door)

    @staticmethod
    def probe(given: Mapping[str, Any]) -> Probe:
        """A way for the follower to ask, often, whether the container is fenced."""
        return prober(RedisSettings.from_dict(given))

    @staticmethod
    def tend(given: Mapping[str, Any]) -> Tend:
        """What brings the container, and the workers, into the state that the pointer asks for."""
        return tender(RedisSettings.from_dict(given))

    def plan(self) -> list[Finding]:
        """What stands in the way now; the module store_plan judges the rest before anything is installed."""
        if self.door.pointer() == CLUSTER:
            return [Finding("redis.moved", "info", "store", "the cluster serves already")]
        found = []
        for check in (self.local.refuse_open_boot, self._refuse_incomplete, self._refuse_bypass):
            try:
                check()
            except StoreError as problem:
                found.append(Finding("redis.ready", "blocker", "store", str(problem)))
        return found

    def prepare(self, progress: Progress) -> dict[str, Any]:
        """Make the accounts on the container; nothing restarts and nobody waits."""
        if self.door.pointer() == CLUSTER:
            return {"changed": False, "stall_seconds": 0.0}
        return {"changed": self.source.prepare(progress), "stall_seconds": 0.0}

    def follow(self, progress: Progress) -> dict[str, Any]:
        """Seed the cluster if need be, and leave it closed and following; after a cutover, keep the way back going."""
        if self.door.pointer() == CLUSTER:
            return self._keep_way_back()
        remove_file(self._committed)
        return Follow(self.settings, self.source, self.local, self.cluster, progress).run()

    def compare(self, progress: Progress) -> Comparison:
        """Compare the end that serves with the one that follows, by content."""
        forward = self.door.pointer() != CLUSTER
        serving, following = (self.local, self.cluster) if forward else (self.cluster, self.local)
        with contextlib.ExitStack() as stack:
            here = stack.enter_context(contextlib.closing(Side(lambda number: serving.dial(_READ_SECONDS, number))))
            there = stack.enter_context(contextlib.closing(Side(lambda number: following.dial(_READ_SECONDS, number))))
            return Compare(here, there, progress, self.settings.limits.pause_seconds).run()

    def ready(self) -> None:
        """Refuse a flip that would not go well now. Also opens the connections that the flip will use."""
        self._refuse_incomplete()
        if self.door.pointer() == CLUSTER:
            if self._committed.exists():
                raise StoreError(
                    "store redis is committed: its old container no longer follows, so there is no way back"
                )
            refuse_open("redis", self.local)
            self._refuse_unlinked(self.local.server.look().link_up, LOCAL)
            self.local.reach(self.cluster.position(), self.settings.limits.lag_seconds)
            self.cluster.sessions()
            return
        self.local.refuse_open_boot()
        refuse_open("redis", self.cluster)
        self._refuse_unlinked(self.cluster.server().look().link_up, CLUSTER)
        self.cluster.reach(self.local.position(), self.settings.limits.lag_seconds)
        refuse_uncompared("redis", self.settings.state, self.settings.limits.comparison_seconds)
        self._refuse_bypass()

    def move(self, end: str, limits: Limits, note: Note) -> Flip:
        """Flip. Before anything is held, the backlog of tasks is put aside and the workers end what they fetched."""
        leaving = self.local if end == CLUSTER else self.cluster
        # Pools are idle all the time; whether somebody works is found out under the pause (redis_quiet.py).
        limits = replace(limits, idle_seconds=0.0, drain_seconds=self.settings.limits.drain_seconds)
        if self.door.pointer() == end:
            return super().move(end, limits, note)

        def open_database(number: int) -> Connection:
            return leaving.dial(_READ_SECONDS, number)

        note("backlog")
        try:
            aside = put_aside(open_database)
            kept = await_workers(open_database, self.settings.limits.backlog_seconds)
            print(f"redis: {aside} waiting task(s) put aside, {kept} kept by workers", flush=True)
            return super().move(end, limits, note)
        except StoreError:
            # Opening an end puts them back; a flip that was refused before its first step opens none.
            if self.door.pointer() == leaving.name:
                with contextlib.suppress(StoreError):
                    put_back(open_database)
            raise

    def commit(self) -> None:
        """End the way back: the container no longer follows and stays closed."""
        try:
            self.local.leave()
        except Unreachable:
            # Its being gone is what a commit leads to.
            pass
        self._committed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(self._committed, json.dumps({"at": datetime.now(timezone.utc).isoformat()}) + "\n", durable=True)

    def detach(self) -> bool:
        """Leave the container as it was found; for a store that its local end serves."""
        if self.door.pointer() == CLUSTER:
            raise StoreError("store redis is served by its cluster: roll it back before you detach it")
        try:
            self.cluster.leave()
        except StoreError:
            # A cluster that is gone does not follow.
            pass
        return self.source.undo()

    def status(self) -> dict[str, Any]:
        """Where the store stands, as both ends tell it; one that is silent is named, not hidden."""
        return stands(self.door.pointer(), self._committed.exists(), self.local, self.cluster, self.source)

    # Parts

    @property
    def _committed(self) -> Any:
        return self.settings.state / "committed.json"

    def _keep_way_back(self) -> dict[str, Any]:
        changed = False
        if not self._committed.exists():
            state = self.local.server.look()
            if (state.host, state.port) != self.cluster.origin() or not (state.link_up or state.syncing):
                self.local.follow(self.cluster)
                changed = True
            changed |= self.cluster.sentinels.watch(self.cluster.primary())
        return {"changed": changed, "way": "replication", "bytes": 0, "position": self.cluster.position()}

    def _refuse_unlinked(self, linked: bool, end: str) -> None:
        if not linked:
            raise StoreError(
                f"the {end} end of store redis does not follow: its link is down; see its log, then run the same "
                "playbook again"
            )

    def _refuse_incomplete(self) -> None:
        states = self.cluster.states()
        leader = self.cluster.members.leader()
        bad = [f"{one.name} ({one.error})" for one in states if not one.reachable]
        bad += [
            f"{one.name} (does not follow {leader.name})"
            for one in states
            if one.replication is not None and one.name != leader.name and not one.replication.link_up
        ]
        silent = sorted({one.name for one in self.settings.members} - set(self.cluster.sentinels.watched()))
        bad += [f"{name} (its Sentinel does not answer)" for name in silent]
        if bad:
            raise StoreError(f"members of the cluster are not well: {', '.join(bad)}; bring them back, then try again")
        refuse_few(len(states))

    def _refuse_bypass(self) -> None:
        link = self.local.server.link
        # Everything that comes through the edge is seen as coming from this host, as we are.
        everybody = parse_clients(link.text("CLIENT", "LIST"))
        edge = {address_of(one) for one in everybody if one.get("user") == self.settings.admin_user}
        around = sorted(
            {
                f"{one.get('user', 'default')} from {address_of(one)}"
                for one in clients(link, self.settings.accounts)
                if address_of(one) not in edge or one.get("user") != self.settings.app_user
            }
        )
        if around:
            raise StoreError(
                f"clients reach the Redis container without the edge or as another user: {'; '.join(around)}; point "
                f"them at {self.settings.edge_address} as {self.settings.app_user}, because they would be left behind"
            )
