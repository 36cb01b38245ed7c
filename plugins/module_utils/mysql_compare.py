# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare both ends by content at one point in time, while writes go on.

Every row of every table is digested in ranges of its primary key, over all its columns, on both ends through snapshots
of the same position (mysql_snapshot.py); definitions and accounts are compared as the server writes them. Several
tables are read at a time. What looked different is read again at a later position, and only what differs every time is
told, down to the keys of the rows. So "equal" is a proof, and no learner waits for it: nothing is locked on the serving
end.

The other way, reading live data and checking again only what differs, proves each range at a moment of its own and
never the whole, and needs the same second look.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from . import mysql_accounts as accounts
from . import mysql_schema as schema
from .mysql_client import Connection, MysqlError
from .mysql_digest import Chunk, Scan, Table, tables
from .mysql_snapshot import ReadableEnd, Snapshots, let_go, snapshots
from .stores.base import Comparison, Difference, Progress, StoreError, amounts

ROUNDS = 3
#: Keys that are named for one range.
_NAMED = 5
_CHANGED = 1412
#: No such column, no such table.
_MISSING = (1054, 1146)


@dataclass
class _Tally:
    """What the threads of one round have done; they share it under a lock."""

    bytes_total: int
    report: Progress
    clock: Callable[[], float]
    round: int
    begun: float = 0.0
    rows: int = 0
    bytes: int = 0
    differing: list[Chunk] = field(default_factory=list)
    problem: Exception | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, chunk: Chunk, rows: int, equal: bool) -> None:
        with self.lock:
            self.rows += rows
            self.bytes += rows * chunk.table.row_bytes
            if not equal:
                self.differing.append(chunk)
            seconds = max(self.clock() - self.begun, 0.001)
            self.report(
                "compare",
                {
                    "round": self.round,
                    "table": chunk.table.label,
                    "rows": self.rows,
                    **amounts(self.bytes, self.bytes_total, seconds),
                },
            )


def compare(
    serving: ReadableEnd,
    standby: ReadableEnd,
    channel: str,
    ours: Sequence[str],
    progress: Progress,
    connections: int = 4,
    chunk_bytes: int = 8_000_000,
    clock: Callable[[], float] = time.monotonic,
) -> Comparison:
    """Compare everything. ``ours`` are the accounts that only the collection uses."""
    begun = clock()
    rows = size = items = 0
    position = ""
    chunks: list[Chunk] = []
    defined: list[Difference] = []
    for number in range(1, ROUNDS + 1):
        with snapshots(serving, standby, channel, connections, clock) as both:
            progress(
                "snapshot",
                {
                    "round": number,
                    "tries": both.tries,
                    "exact": both.exact,
                    "frozen_seconds": round(both.frozen_seconds, 3),
                },
            )
            found = _definitions(both, ours)
            if number == 1:
                known = tables(both.serving[0])
                tally = _digest(
                    both, known, None, _Tally(sum(one.bytes for one in known), progress, clock, number), chunk_bytes
                )
                rows, size, items = tally.rows, sum(one.bytes for one in known), len(known)
                position, defined = both.position, found
            else:
                tally = _digest(both, [], chunks, _Tally(0, progress, clock, number), chunk_bytes)
                defined = [one for one in found if one in defined]
            chunks = tally.differing
            last = number == ROUNDS
            content = [_rows(both, chunk) for chunk in chunks] if last else []
        if not chunks and not defined:
            break
    return Comparison(
        position=position,
        items=items,
        rows=rows,
        bytes=size,
        seconds=round(clock() - begun, 3),
        differences=[*defined, *(one for one in content if one is not None)],
    )


def _definitions(both: Snapshots, ours: Sequence[str]) -> list[Difference]:
    one, two = both.serving[0], both.standby[0]
    found = schema.differences(schema.definitions(one), schema.definitions(two))
    let_go(one)
    let_go(two)
    known = accounts.privileges(one) & accounts.privileges(two)
    return found + [
        each
        for each in schema.differences(accounts.shown(one, ours, known), accounts.shown(two, ours, known))
        # A cluster has accounts of its own, such as those for its backups.
        if not each.detail.startswith("only")
    ]


def _digest(
    both: Snapshots, known: Sequence[Table], chunks: Sequence[Chunk] | None, tally: _Tally, chunk_bytes: int
) -> _Tally:
    """Digest tables, or only some ranges, with one thread for each pair of connections."""
    work: queue.SimpleQueue[Table | Chunk] = queue.SimpleQueue()
    for one in known if chunks is None else chunks:
        work.put(one)
    tally.begun = tally.clock()
    pairs = list(zip(both.serving, both.standby, strict=True))
    # One thread for the serving end's side of a pair, one for the other's, so that both ends work at the same time.
    with ThreadPoolExecutor(len(pairs)) as helpers:

        def read(serving: Connection, standby: Connection) -> None:
            one, two = Scan(serving), Scan(standby)
            while tally.problem is None:
                try:
                    item = work.get_nowait()
                except queue.Empty:
                    return
                for chunk in [item] if isinstance(item, Chunk) else one.chunks(item, chunk_bytes):
                    if tally.problem is not None:
                        return
                    theirs = helpers.submit(_present, two, chunk)
                    ours = one.digest(chunk)
                    tally.add(chunk, ours.rows, theirs.result() == ours)

        def guarded(serving: Connection, standby: Connection) -> None:
            try:
                read(serving, standby)
            except Exception as problem:
                tally.problem = tally.problem or problem

        threads = [threading.Thread(target=guarded, args=pair, daemon=True) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    problem = tally.problem
    if isinstance(problem, MysqlError) and problem.code in (_CHANGED, *_MISSING):
        raise StoreError(
            f"a table was changed while it was compared ({problem}): run the same playbook again"
        ) from problem
    if problem is not None:
        raise problem
    return tally


def _present(scan: Scan, chunk: Chunk) -> object:
    """The digest on the end that follows, or None where the table or a column is missing; definitions tell that by "
    "name."""
    try:
        return scan.digest(chunk)
    except MysqlError as problem:
        if problem.code not in _MISSING:
            raise
        return None


def _rows(both: Snapshots, chunk: Chunk) -> Difference | None:
    """Which rows of a range differ."""
    one, two = Scan(both.serving[0]), Scan(both.standby[0])
    if not chunk.table.key:
        return Difference(
            chunk.label, f"{one.digest(chunk).rows} and {two.digest(chunk).rows} row(s) differ in content or number"
        )
    try:
        left, right = one.rows(chunk), two.rows(chunk)
    except MysqlError as problem:
        if problem.code not in _MISSING:
            raise
        return None
    kinds = {
        "missing on the end that follows": [key for key in left if key not in right],
        "only on the end that follows": [key for key in right if key not in left],
        "of other content": [key for key in left if key in right and left[key] != right[key]],
    }
    name = ", ".join(chunk.table.key)
    told = [
        f"{len(keys)} row(s) {kind} ({name} = {'; '.join(', '.join(map(str, key)) for key in sorted(keys)[:_NAMED])}"
        f"{'; ...' if len(keys) > _NAMED else ''})"
        for kind, keys in kinds.items()
        if keys
    ]
    return Difference(chunk.label, ", ".join(told)) if told else None
