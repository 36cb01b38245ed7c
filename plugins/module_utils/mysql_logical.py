# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy a source into the first member of a cluster, logically: definitions, rows and accounts, while the source serves.

This is how data get into another series, which a physical copy (mysql_clone.py) cannot. What stands there in the end is
the same: all that the source held at one position, and that position as what the member has executed, so that a channel
goes on from exactly there. Nothing is locked on the source, and nothing but what is on its way is in memory or on disk.

The copy stands beside a database whose name says whose it is, and which goes only when the copy is whole and its
position is written. A member with it and without a position holds half a copy: it is emptied, and the copy begins anew.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

from . import mysql_accounts, mysql_objects
from .mysql_accounts import Account
from .mysql_client import Connection, MysqlError
from .mysql_digest import Chunk, Scan, quoted, tables
from .mysql_member import SYSTEM_SCHEMAS, Member
from .mysql_objects import Object
from .mysql_rows import PACKET, ZONES, Carrier, columns
from .mysql_snapshot import freeze, let_go
from .mysql_tally import CopyTally
from .stores.base import Progress, StoreError, Unreachable

#: A single answer may take so long: large statements on a slow disk.
_ANSWER_SECONDS = 600.0
#: How long the source is waited for to be at rest, and how often its definitions may change while it is.
_REST_SECONDS = 60.0
_TRIES = 5
_LOOK_SECONDS = 0.5
_Pending = set["futures.Future[None]"]
#: A table has changed, or it or a column of it is gone.
_CHANGED = (1412, 1146, 1054)
_LEFT_OVER = (
    "SELECT p.id AS id FROM performance_schema.processlist p"
    " JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id"
    " WHERE p.id <> CONNECTION_ID() AND p.user = SUBSTRING_INDEX(USER(), '@', 1)"
)
#: The source waits for us while the target writes, and sends text as it is stored.
_SOURCE_SESSION = "SET SESSION net_write_timeout = 1800, character_set_results = NULL"
_TARGET_SESSION = (
    # Not logged: the member's history is the source's, up to the position of the copy.
    "SET SESSION sql_log_bin = 0, foreign_key_checks = 0, unique_checks = 0, time_zone = '+00:00',"
    # What the source holds is what is wanted, also where it would not be taken from a client today.
    " sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', innodb_strict_mode = 0,"
    " restrict_fk_on_non_standard_key = 0,"
    # Keys are added for the group when all is there, as after a physical copy.
    " sql_require_primary_key = 0, sql_generate_invisible_primary_key = 0"
)


def marker(group_name: str) -> str:
    """The database that stands beside a copy for this group until it is whole."""
    return "tutorops_copy_" + group_name.replace("-", "").lower()


def half_copied(schemas: Collection[str], executed: str, group_name: str) -> bool:
    """Whether a member holds half a copy of ours, which may be thrown away."""
    return marker(group_name) in schemas and not executed


@dataclass
class LogicalCopy:
    """One copy into a member. ``ours`` are the accounts that both ends have from the collection."""

    member: Member
    group_name: str
    source: Callable[[float], Connection]
    target: Callable[[float], Connection]
    ours: Collection[str]
    connections: int = 4
    chunk_bytes: int = 8_000_000
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def run(self, progress: Progress) -> int:
        """Copy everything; returns the bytes copied."""
        try:
            with self.target(_ANSWER_SECONDS) as target, self._open(target), contextlib.ExitStack() as stack:
                self._clear(target)
                return self._fill(stack, target, progress)
        except MysqlError as problem:
            if problem.code in _CHANGED:
                raise self._failure(f"tables were changed while they were copied ({problem})") from problem
            raise self._failure(str(problem)) from problem
        except Unreachable as problem:
            raise self._failure(str(problem)) from problem

    def settle(self) -> None:
        """Take the marker of a copy that is whole away; harmless without one."""
        with self.target(_ANSWER_SECONDS) as target:
            name = marker(self.group_name)
            if target.query("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (name,)):
                with self._open(target):
                    self._unmark(target)

    def _clear(self, target: Connection) -> None:
        """Begin with an empty member: what an interrupted copy of ours left goes, anything else is refused."""
        target.execute(_TARGET_SESSION)
        rows = target.query("SELECT schema_name AS n FROM information_schema.schemata")
        held = sorted({str(row["n"]) for row in rows} - set(SYSTEM_SCHEMAS))
        executed = str(target.value("SELECT @@global.gtid_executed") or "")
        name = marker(self.group_name)
        if held and not half_copied(held, executed, self.group_name):
            raise StoreError(
                f"member {self.member.name} holds data that do not come from a copy for this cluster "
                f"(databases {', '.join(held)}), and nothing is overwritten: move them elsewhere and empty the member"
            )
        if held:
            for row in target.query(_LEFT_OVER):
                # Of a copy whose process died; its work would be waited for.
                target.execute(f"KILL {int(row['id'])}")
            mysql_objects.drop_all(target, (name,))
            mysql_accounts.drop_all(target, self.ours)
        else:
            target.execute(f"CREATE DATABASE {quoted(name)}")
        if executed:
            # The history of an empty server is of no use, and in the way of the source's.
            target.execute("RESET BINARY LOGS AND GTIDS")

    def _fill(self, stack: contextlib.ExitStack, target: Connection, progress: Progress) -> int:
        progress("copy", {"member": self.member.name, "stage": "definitions"})
        sources, position, objects, accounts = self._freeze(stack)
        planner, *carriers = sources
        mysql_accounts.refuse_plugins(target, accounts)
        mysql_objects.make_frames(target, objects)
        for table in ZONES:
            target.execute(f"DELETE FROM {table.sql}")
        targets = [stack.enter_context(self.target(_ANSWER_SECONDS)) for _ in carriers]
        for connection in targets:
            connection.execute(_TARGET_SESSION)
            connection.execute("SET SESSION autocommit = 0")
        copied = self._carry(planner, list(zip(carriers, targets, strict=True)), progress)
        progress("copy", {"member": self.member.name, "stage": "programs and accounts", "bytes_done": copied})
        mysql_accounts.make(target, accounts)
        grants = mysql_accounts.grants(target, accounts, mysql_accounts.privileges(planner))
        mysql_objects.take([*mysql_objects.programs(target, objects), *grants])
        mysql_accounts.finish(target, accounts)
        target.execute("SET GLOBAL gtid_purged = %s", (position,))
        self._unmark(target)
        return copied

    def _freeze(self, stack: contextlib.ExitStack) -> tuple[Sequence[Connection], str, list[Object], list[Account]]:
        """Snapshots of the source at one position, and what it defines there."""
        reader, *sources = (stack.enter_context(self.source(_ANSWER_SECONDS)) for _ in range(self.connections + 2))
        for connection in sources[1:]:
            connection.execute(_SOURCE_SESSION)
        for _ in range(_TRIES):
            # SHOW knows no snapshot: what it tells before and after is what was there in between.
            before = self._defined(reader)
            position = freeze(sources, _REST_SECONDS, self.clock, self.wait)
            objects, accounts = self._defined(reader)
            if ([one.fixed for one in before[0]], before[1]) == ([one.fixed for one in objects], accounts):
                return sources, position, objects, accounts
        raise StoreError(
            "tables or accounts of the source changed again and again while the copy wanted to begin: run the same "
            "playbook again when no migration runs"
        )

    def _defined(self, reader: Connection) -> tuple[list[Object], list[Account]]:
        return mysql_objects.read(reader), mysql_accounts.read(reader, self.ours)

    def _carry(self, planner: Connection, pairs: Sequence[tuple[Connection, Connection]], progress: Progress) -> int:
        """Take all rows over, several ranges at a time."""
        known = tables(planner)
        of_tables = columns(planner)
        tally = CopyTally(self.member.name, known, self.clock)
        free: SimpleQueue[Carrier] = SimpleQueue()
        for source, target in pairs:
            free.put(Carrier(source, target, of_tables, self.chunk_bytes, tally.add))

        def carry(chunk: Chunk) -> None:
            carrier = free.get()
            try:
                carrier.carry(chunk)
            finally:
                free.put(carrier)

        def chunks() -> Iterator[Chunk]:
            for table in (*known, *ZONES):
                yield from Scan(planner).chunks(table, self.chunk_bytes)

        with futures.ThreadPoolExecutor(len(pairs)) as pool:
            pending: _Pending = set()
            settle = partial(self._settle, tally, progress)
            try:
                for chunk in chunks():
                    pending.add(pool.submit(carry, chunk))
                    # No more than keeps everybody busy: ranges of a large table are many.
                    pending = settle(pending, 2 * len(pairs))
                settle(pending, 1)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        let_go(planner)
        return tally.bytes

    @staticmethod
    def _settle(tally: CopyTally, progress: Progress, pending: _Pending, below: int) -> _Pending:
        """Wait until fewer than ``below`` ranges are under way; a failure of any ends the copy."""
        while True:
            patience = _LOOK_SECONDS if len(pending) >= below else 0.0
            done, pending = futures.wait(pending, patience, futures.FIRST_COMPLETED)
            for one in done:
                one.result()
            progress("copy", tally.figures())
            if len(pending) < below:
                return pending

    @contextlib.contextmanager
    def _open(self, target: Connection) -> Iterator[None]:
        """Let us write, in statements that hold any row of the source; closed again whatever happens."""
        kept = target.value("SELECT @@global.max_allowed_packet")
        target.execute("SET GLOBAL super_read_only = OFF")
        target.execute("SET GLOBAL max_allowed_packet = %s", (PACKET,))
        try:
            yield
        finally:
            with contextlib.suppress(StoreError):
                target.execute("SET GLOBAL max_allowed_packet = %s", (kept,))
                target.execute("SET GLOBAL super_read_only = ON")

    def _unmark(self, target: Connection) -> None:
        target.execute("SET SESSION sql_log_bin = 0")
        target.execute(f"DROP DATABASE {quoted(marker(self.group_name))}")

    def _failure(self, reason: str) -> StoreError:
        return StoreError(
            f"the logical copy into member {self.member.name} failed: {reason}; the platform is not affected, run the "
            "same playbook again"
        )
