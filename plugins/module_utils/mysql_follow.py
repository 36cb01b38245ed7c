# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed the cluster from the container and let it follow: every step is found done or is done, so it can be run again.

The container is made ready (mysql_source.py), copied into the first member (mysql_clone.py, or between two series
mysql_logical.py), that member begins the group, closed, and follows; the others join by copies of the first. What the
members hold decides where to go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from . import mysql_channel as channels
from . import mysql_gtid as gtid
from . import mysql_series as series
from .mysql_channel import MIGRATE
from .mysql_clone import Copy
from .mysql_cluster import ClusterEnd
from .mysql_digest import quoted
from .mysql_local import LocalEnd
from .mysql_logical import LogicalCopy, half_copied
from .mysql_member import SYSTEM_SCHEMAS, Member, MemberState
from .mysql_settings import MysqlSettings, accounts
from .mysql_source import MysqlSource
from .stores.base import Progress, StoreError, Unreachable

#: A large table takes long to be rewritten.
_KEY_SECONDS = 12 * 3600.0
_NO_KEY = f"""
SELECT t.table_schema AS `schema`, t.table_name AS name
FROM information_schema.tables t
LEFT JOIN information_schema.table_constraints k
  ON k.table_schema = t.table_schema AND k.table_name = t.table_name AND k.constraint_type = 'PRIMARY KEY'
WHERE t.table_type = 'BASE TABLE' AND k.constraint_name IS NULL AND t.table_schema NOT IN {SYSTEM_SCHEMAS}
  AND NOT EXISTS (SELECT 1 FROM information_schema.statistics s
                  WHERE s.table_schema = t.table_schema AND s.table_name = t.table_name AND s.non_unique = 0
                  GROUP BY s.index_name HAVING SUM(s.nullable = 'YES') = 0)
"""


class Follow:
    """One run of the stage `follow`."""

    def __init__(
        self,
        settings: MysqlSettings,
        source: MysqlSource,
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
        """Follow, and return what it took: whether anything changed, the bytes copied, the lag at the end."""
        begun = self._clock()
        states = self._reachable()
        self._refuse_other_data(states)
        seeds = not self._cluster.group.in_service(states)
        way = self._way(states)
        changed = self._source.prepare(self._progress, clone=seeds and way == series.PHYSICAL)
        copied = 0
        if seeds:
            copied = self._seed(self._first(states), way)
            changed = True
        elif not self._cluster.closed():
            raise StoreError(
                "the cluster takes writes of its own although the local end serves: it is in use; give the store "
                "another "
                "cluster, or close this one and make sure that it holds nothing of its own"
            )
        elif self._running():
            changed |= self._cluster.define_channel(self._local.origin())
        else:
            changed = True
            self._cluster.follow(self._local)
        changed |= self._cluster.group.form(self._settings.members[0], closed=True, progress=self._progress)
        changed |= self._cluster.define_channel(self._local.origin())
        self._catch_up()
        return {
            "changed": changed,
            "way": way,
            "bytes": copied or self._size(),
            "seconds": round(self._clock() - begun, 3),
            "position": self._cluster.position(),
            "members": [state.name for state in self._cluster.states() if state.state == "ONLINE"],
        }

    def _reachable(self) -> list[MemberState]:
        states = self._cluster.states()
        silent = next((state for state in states if not state.reachable), None)
        if silent is not None:
            raise Unreachable(
                f"member {silent.name} cannot be asked ({silent.error}): start MySQL there or open the way to it"
            )
        return states

    def _way(self, states: list[MemberState]) -> str:
        """How the data get there; refused where they cannot."""
        source = series.release(self._source.version())
        target = min(series.release(state.version) for state in states)
        way = series.way(self._settings.copy, source, target)
        reason = series.obstacle(way, source, target)
        if reason:
            raise StoreError(
                f"a {way} copy from MySQL {series.shown(source)} to {series.shown(target)} is not possible: {reason}; "
                "choose mysql_repository and mysql_version, or offload_mysql_copy, accordingly"
            )
        return way

    def _refuse_other_data(self, states: list[MemberState]) -> None:
        for state in states:
            if half_copied(state.user_schemas, state.gtid_executed, self._settings.group_name):
                # Of a copy that was interrupted: it begins anew.
                continue
            if state.user_schemas and not self._descends(state):
                raise StoreError(
                    f"member {state.name} holds other data (databases {', '.join(state.user_schemas)}): they do not "
                    "come from "
                    "the local end and would be lost; move them elsewhere and empty the member, or name another cluster"
                )

    def _descends(self, state: MemberState) -> bool:
        """Whether all that a member holds was made on the local end."""
        if not state.gtid_executed or not self._source.prepared():
            return False
        return bool(self._local.server.value("SELECT GTID_SUBSET(%s, @@global.gtid_executed)", (state.gtid_executed,)))

    def _first(self, states: list[MemberState]) -> Member:
        """The member that an earlier run has copied to, or the first one."""
        held = [state.name for state in states if state.user_schemas]
        if len(held) > 1:
            raise StoreError(
                f"members {', '.join(held)} hold data of a group, but no group is in service: run recover.yml, which "
                "starts it "
                "again from its most advanced member"
            )
        wanted = held[0] if held else self._settings.members[0].name
        return next(member for member in self._settings.members if member.name == wanted)

    def _seed(self, first: Member, way: str) -> int:
        cluster = self._cluster
        copied = 0
        if not self._holds_copy(first):
            cluster.group.prepare(first)
            copied = self._physical(first) if way == series.PHYSICAL else self._logical(first)
        cluster.group.prepare(first)
        self._logical_copy(first).settle()
        self._add_keys(first)
        self._progress("group", {"member": first.name})
        cluster.group.bootstrap(first, closed=True)
        cluster.follow(self._local)
        return copied

    def _physical(self, first: Member) -> int:
        cluster = self._cluster
        return Copy(
            first,
            self._local.origin(),
            cluster.link(first),
            lambda seconds: cluster.connect(first, seconds),
            self._clock,
            self._wait,
        ).run(self._progress)

    def _logical(self, first: Member) -> int:
        self._cluster.group.rest(first)
        return self._logical_copy(first).run(self._progress)

    def _logical_copy(self, first: Member) -> LogicalCopy:
        known, limits = accounts(self._settings), self._settings.limits
        return LogicalCopy(
            first,
            self._settings.group_name,
            self._local.dial,
            lambda seconds: self._cluster.connect(first, seconds),
            (known.admin_user, known.replication_user, known.health_user),
            limits.connections,
            limits.chunk_bytes,
            self._clock,
            self._wait,
        )

    def _holds_copy(self, first: Member) -> bool:
        state = next(one for one in self._cluster.states() if one.name == first.name)
        return bool(state.user_schemas) and self._descends(state)

    def _add_keys(self, first: Member) -> None:
        """A group takes only tables with primary keys: add invisible ones, on this side alone."""
        link = self._cluster.link(first)
        tables = link.query(_NO_KEY)
        if not tables:
            return
        with self._cluster.connect(first, _KEY_SECONDS) as connection:
            connection.execute("SET GLOBAL super_read_only = OFF")
            connection.execute("SET SESSION sql_log_bin = 0")
            try:
                for row in tables:
                    self._progress("keys", {"table": f"{row['schema']}.{row['name']}"})
                    name = f"{quoted(row['schema'])}.{quoted(row['name'])}"
                    connection.execute(
                        f"ALTER TABLE {name} ADD COLUMN my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE "
                        "PRIMARY KEY"
                    )
            finally:
                connection.execute("SET GLOBAL super_read_only = ON")

    def _running(self) -> bool:
        state = channels.look(self._cluster.server, MIGRATE)
        return state is not None and state.runs

    def _catch_up(self) -> None:
        """Wait until the lag is nothing: until everything that was committed when this began has been applied."""
        position = self._local.position()
        ends = self._clock() + self._settings.limits.follow_seconds
        while True:
            missing = gtid.count(channels.missing(self._cluster.server, position))
            self._progress("catch up", {"transactions_left": missing})
            if not missing:
                return
            state = channels.look(self._cluster.server, MIGRATE)
            if state is None or (state.applier == "OFF" and state.error) or self._clock() >= ends:
                raise StoreError(
                    f"the cluster is {missing} transaction(s) behind and does not catch up: {channels.trouble(state)}"
                )
            self._wait(0.2)

    def _size(self) -> int:
        return int(
            self._local.server.value(
                "SELECT COALESCE(SUM(file_size), 0) FROM information_schema.innodb_tablespaces WHERE space_type = "
                "'Single'"
            )
        )
