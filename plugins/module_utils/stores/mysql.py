# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MySQL store: Tutor's container on one side, a Group Replication cluster on the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from .. import mysql_channel as channels
from .. import mysql_checks as checks
from .. import mysql_gtid as gtid
from .. import mysql_return as way_back
from ..cutover import FencedStore
from ..docker import Docker
from ..flip_checks import refuse_open, refuse_uncompared
from ..mysql_channel import MIGRATE, ROLLBACK, ChannelState
from ..mysql_client import Connection
from ..mysql_cluster import ClusterEnd
from ..mysql_compare import compare
from ..mysql_facts import Reader, read_source
from ..mysql_follow import Follow
from ..mysql_local import LocalEnd
from ..mysql_plan import PlanFacts, judge
from ..mysql_sessions import own_address
from ..mysql_settings import MysqlSettings, accounts
from ..mysql_source import MysqlSource
from ..paths import remove_file, write_file
from .base import CLUSTER, LOCAL, Comparison, Door, Finding, Probe, Progress, StoreError, Unreachable

_PROBE_SECONDS = 2.0


class MysqlStore(FencedStore):
    """Drives MySQL's journey on the app server (see stores/base.py)."""

    name = "mysql"
    local: LocalEnd
    cluster: ClusterEnd

    def __init__(
        self,
        settings: MysqlSettings,
        door: Door,
        docker: Docker | None = None,
        connect: Callable[..., Connection] = Connection,
    ) -> None:
        self.settings = settings
        self.door = door
        self.local = LocalEnd(settings, docker, connect)
        self.cluster = ClusterEnd(settings, connect)
        self.source = MysqlSource(settings, self.local, docker)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], door: Door) -> MysqlStore:
        """The store that /etc/tutorops/stores/mysql.json describes."""
        return cls(MysqlSettings.from_dict(settings), door)

    @staticmethod
    def probe(given: Mapping[str, Any]) -> Probe:
        """A way for the follower to ask, often, whether the container is fenced."""
        settings = MysqlSettings.from_dict(given)
        kept: dict[tuple[str, int], Connection] = {}

        def ask(address: str, port: int) -> bool | None:
            here = (address, port)
            try:
                if here not in kept:
                    kept.clear()
                    kept[here] = Connection(
                        host=settings.source_address,
                        user=settings.admin_user,
                        password=settings.admin_password,
                        ca=settings.ca,
                        timeout=_PROBE_SECONDS,
                        via=here,
                    )
                return bool(kept[here].value("SELECT @@global.super_read_only"))
            except Unreachable:
                kept.clear()
                return None
            except StoreError:
                # Without our certificate or our account it has never been followed, and so never fenced.
                kept.clear()
                return False

        return ask

    def plan(self) -> list[Finding]:
        """What would happen and what stands in the way, as the container and the members tell it."""
        if self.door.pointer() == CLUSTER:
            return [Finding("mysql.moved", "info", "store", "the cluster serves already")]
        known = (self.settings.admin_user, self.settings.replication_user)
        prepared = self.source.prepared()
        reader: Reader = self.local.server if prepared else self.source.reader()
        seen_as = [own_address(self.local.server)] if prepared else []
        members = [
            {"host": one.name, "server_version": one.version, "user_schemas": one.user_schemas}
            for one in self.cluster.states()
        ]
        source, settings = read_source(reader, known), self.settings
        return judge(
            PlanFacts(
                source,
                members,
                seen_as,
                attached=prepared,
                copy=settings.copy,
                group_name=settings.group_name,
            )
        )

    def prepare(self, progress: Progress) -> dict[str, Any]:
        """Nothing: the container takes part as it was found."""
        return {"changed": False}

    def follow(self, progress: Progress) -> dict[str, Any]:
        """Seed the cluster if need be, and leave it closed and following; after a cutover, keep the way back going."""
        if self.door.pointer() == CLUSTER:
            return self._keep_way_back()
        remove_file(self._committed)
        return Follow(self.settings, self.source, self.local, self.cluster, progress).run()

    def compare(self, progress: Progress) -> Comparison:
        """Compare the end that serves with the one that follows, by content, at one point in time."""
        known = accounts(self.settings)
        forward = self.door.pointer() != CLUSTER
        limits = self.settings.limits
        return compare(
            self.local if forward else self.cluster,
            self.cluster if forward else self.local,
            MIGRATE if forward else ROLLBACK,
            (known.admin_user, known.replication_user, known.health_user),
            progress,
            limits.connections,
            limits.chunk_bytes,
        )

    def ready(self) -> None:
        """Refuse a flip that would not go well now. Also opens the connections that the flip will use."""
        settings = self.settings
        if self.door.pointer() == CLUSTER:
            if self._committed.exists():
                raise StoreError(
                    "store mysql is committed: its old container no longer follows, so there is no way back"
                )
            refuse_open("mysql", self.local)
            checks.refuse_lag(self._lag(forward=False), channels.look(self.local.server, ROLLBACK), LOCAL, settings)
            if way_back.refuse(self.local.server, self.cluster.server):
                refuse_uncompared("mysql", settings.state, settings.limits.comparison_seconds, serving=CLUSTER)
            return
        checks.refuse_incomplete(self.cluster.states())
        refuse_open("mysql", self.cluster)
        checks.refuse_lag(self._lag(forward=True), channels.look(self.cluster.server, MIGRATE), CLUSTER, settings)
        refuse_uncompared("mysql", settings.state, settings.limits.comparison_seconds)
        checks.refuse_bypass(self.local, settings)

    def commit(self) -> None:
        """End the way back: the container no longer follows and stays closed."""
        try:
            self.local.unfollow()
        except Unreachable:
            # Its being gone is what a commit leads to.
            pass
        self.cluster.leave_channels()
        self._committed.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(self._committed, json.dumps({"at": datetime.now(timezone.utc).isoformat()}) + "\n", durable=True)

    def detach(self) -> bool:
        """Leave the container as it was found; for a store that its local end serves."""
        if self.door.pointer() == CLUSTER:
            raise StoreError("store mysql is served by its cluster: roll it back before you detach it")
        try:
            self.cluster.unfollow()
            self.cluster.leave_channels()
        except StoreError:
            # A cluster that is gone does not follow.
            pass
        return self.source.undo()

    def status(self) -> dict[str, Any]:
        """Where the store stands, as both ends tell it; one that is silent is named, not hidden."""
        serving = self.door.pointer()
        states = self.cluster.states()
        members = [
            {
                "name": one.name,
                "state": one.state or "UNREACHABLE",
                "role": one.role,
                "version": one.version,
                "error": one.error,
            }
            for one in states
        ]
        told: dict[str, Any] = {"members": members, "trouble": []}
        forward = serving != CLUSTER
        try:
            channel = (
                channels.look(self.cluster.server, MIGRATE) if forward else channels.look(self.local.server, ROLLBACK)
            )
            told["lag"] = self._lag(forward) if channel is not None else None
            told["channel"] = None if channel is None else {"runs": channel.runs, "error": channel.error}
        except StoreError as problem:
            channel = None
            told["lag"] = told["channel"] = None
            told["trouble"].append(str(problem))
        told["stage"] = self._stage(serving, channel)
        told["way_back"] = told["stage"] == "cutover" and channel is not None and channel.runs
        if told["stage"] in ("following", "cutover"):
            told.update(self._return(told["trouble"]))
        told["next"] = _NEXT[told["stage"]]
        return told

    # Parts

    @property
    def _committed(self) -> Any:
        return self.settings.state / "committed.json"

    def _stage(self, serving: str, channel: ChannelState | None) -> str:
        if serving == CLUSTER:
            return "committed" if self._committed.exists() else "cutover"
        return "following" if channel is not None else "attached"

    def _keep_way_back(self) -> dict[str, Any]:
        changed = False
        if not self._committed.exists():
            state = channels.look(self.local.server, ROLLBACK)
            if state is None or not state.runs:
                self.local.follow(self.cluster)
                changed = True
        return {"changed": changed, "bytes": 0, "position": self.cluster.position()}

    def _lag(self, forward: bool) -> dict[str, Any]:
        """How far the end that follows is behind, in transactions and in seconds."""
        serving, follower = (
            (self.local.server, self.cluster.server) if forward else (self.cluster.server, self.local.server)
        )
        # The one that follows first: what it has, the other one had before.
        applied = gtid.plain(follower.value("SELECT @@global.gtid_executed"))
        missing = gtid.count(serving.value("SELECT GTID_SUBTRACT(@@global.gtid_executed, %s)", (applied,)))
        if not missing:
            return {"transactions": 0, "seconds": 0.0}
        seconds = follower.value(
            "SELECT TIMESTAMPDIFF(MICROSECOND, MAX(last_applied_transaction_original_commit_timestamp), NOW(6)) / 1e6"
            " FROM performance_schema.replication_applier_status_by_worker WHERE channel_name = %s",
            (MIGRATE if forward else ROLLBACK,),
        )
        return {"transactions": missing, "seconds": round(float(seconds or 0.0), 3)}

    def _return(self, trouble: list[str]) -> dict[str, Any]:
        """What limits the way back, where it leads into another series."""
        try:
            found = way_back.look(self.local.server, self.cluster.server)
        except StoreError as problem:
            trouble.append(str(problem))
            return {}
        if not found.limited:
            return {}
        trouble += [f"the way back is blocked by {one}" for one in found.obstacles]
        return {"way_back_limit": found.told()}


_NEXT = {
    "attached": "run offload.yml: it lets the cluster follow",
    "following": "run offload.yml: it compares both ends and cuts over",
    "cutover": "watch the platform; rollback.yml goes back without loss, commit.yml ends that",
    "committed": "nothing; the old data directory is yours to remove",
}
