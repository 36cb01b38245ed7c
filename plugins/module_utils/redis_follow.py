# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the cluster follow the container, from nothing or from where it stands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from .paths import write_file
from .redis_cluster import ClusterEnd
from .redis_info import parse_info, series
from .redis_local import LocalEnd
from .redis_settings import RedisSettings
from .redis_source import RedisSource
from .stores.base import Progress, StoreError

_REST_SECONDS = 0.2


class Follow:
    """The stage: prepared source, leader behind it, the others behind the leader, all closed."""

    def __init__(
        self,
        settings: RedisSettings,
        source: RedisSource,
        local: LocalEnd,
        cluster: ClusterEnd,
        progress: Progress,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._source = source
        self._local = local
        self._cluster = cluster
        self._progress = progress
        self._clock = clock
        self._wait = wait

    def run(self) -> dict[str, Any]:
        """Do what is missing, and wait until all members have caught up."""
        changed = self._source.prepare(self._progress)
        self._refuse_silent()
        self._refuse_older()
        leader = self._cluster.members.leader()
        state = self._cluster.members.server(leader).look()
        if (state.host, state.port) != self._local.origin() or not self._cluster.closed():
            self._refuse_data()
            self._refuse_open()
            self._progress("copy", {"bytes_done": 0, "bytes_total": 0})
            self._cluster.follow(self._local)
            changed = True
        # From here on a full copy of the source is no loss: everything they hold came from it.
        write_file(self._seeded, json.dumps({"members": [one.name for one in self._settings.members]}) + "\n")
        changed |= self._cluster.members.chain(leader)
        read = self._await_all(leader.name)
        return {
            "changed": changed,
            "way": "replication",
            "bytes": read,
            "position": self._local.position(),
            "members": [one.name for one in self._settings.members],
        }

    @property
    def _seeded(self) -> Any:
        self._settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._settings.state / "seeded.json"

    def _refuse_silent(self) -> None:
        silent = [f"{one.name} ({one.error})" for one in self._cluster.states() if not one.reachable]
        if silent:
            raise StoreError(
                f"members of the cluster do not answer: {', '.join(silent)}; start them, then run it again"
            )

    def _refuse_older(self) -> None:
        ours = self._local.server.version()
        for one in self._cluster.states():
            if series(one.version) < series(ours):
                raise StoreError(
                    f"member {one.name} runs Redis {one.version}, and data of {ours} cannot go down to it: set "
                    "redis_version to the series of the source"
                )

    def _refuse_data(self) -> None:
        """A first copy replaces everything: only members without data of their own are taken."""
        if self._seeded.exists():
            return
        held = [f"{one.name} ({one.keys} keys)" for one in self._cluster.states() if one.keys]
        if held:
            raise StoreError(
                f"members of the cluster hold data that do not come from this platform: {', '.join(held)}; empty them, "
                "or name other hosts"
            )

    def _refuse_open(self) -> None:
        if self._cluster.closed():
            return
        if self._seeded.exists() or any(one.keys for one in self._cluster.states()):
            raise StoreError(
                "the cluster takes writes although the local end serves: find out who opened it, and compare both ends "
                "before anything else"
            )
        # New, empty and in service: nobody loses anything.
        self._cluster.close(self._settings.limits.quiet_seconds)

    def _await_all(self, leader: str) -> int:
        """Wait for the copies; returns the bytes that the leader read."""
        ends = self._clock() + self._settings.limits.follow_seconds
        server = self._cluster.members.server(self._cluster.members.named(leader))
        read = 0
        while True:
            states = self._cluster.states()
            position = self._local.position()
            lacking = [one.name for one in states if one.replication is None or not one.replication.has(position)]
            if not lacking:
                return read
            if self._clock() >= ends:
                raise StoreError(
                    f"{', '.join(lacking)} did not catch up within {self._settings.limits.follow_seconds:.0f} s: see "
                    "their logs, then run the same playbook again"
                )
            info = parse_info(server.link.text("INFO", "replication"))
            done, total = int(info.get("master_sync_read_bytes", 0)), int(info.get("master_sync_total_bytes", 0))
            read = max(read, done)
            self._progress("copy", {"bytes_done": done, "bytes_total": max(total, done), "members_left": len(lacking)})
            self._wait(_REST_SECONDS)
