# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows from one server to another one, through snapshots, a piece at a time and byte for byte.

What the source stores is what arrives: text travels as the bytes of its column's character set, and a FLOAT in all its
digits, of which a dump shows six.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .mysql_client import Connection
from .mysql_digest import Chunk, Table, quoted
from .mysql_member import SYSTEM_SCHEMAS
from .mysql_snapshot import let_go

#: Bytes of one statement. A single row may be larger; see PACKET.
STATEMENT_BYTES = 1_000_000
#: The largest statement that a server can take, so that every row fits that another server holds.
PACKET = 1 << 30
_COLUMNS = (
    "SELECT table_schema AS s, table_name AS t, column_name AS c, data_type AS d FROM information_schema.columns"
    f" WHERE (table_schema NOT IN {SYSTEM_SCHEMAS} OR table_schema = 'mysql' AND table_name LIKE 'time\\_zone%')"
    " AND generation_expression = ''"
    " ORDER BY table_schema, table_name, ordinal_position"
)
_NUMBERS = frozenset("tinyint smallint mediumint int bigint decimal double float year bit enum set".split())
_TIMES = frozenset("date datetime timestamp time".split())

#: The server's own tables that a platform reads, by names of time zones: the image of Tutor's MySQL has filled them.
ZONES = tuple(
    Table("mysql", f"time_zone{part}", {}, (), 0, 0)
    for part in ("", "_name", "_leap_second", "_transition", "_transition_type")
)

Columns = Mapping[str, str]
Literal = Callable[[bytes], bytes]


def columns(connection: Connection) -> dict[tuple[str, str], dict[str, str]]:
    """The columns of each table that hold something of their own, with their types."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in connection.query(_COLUMNS):
        found.setdefault((row["s"], row["t"]), {})[row["c"]] = str(row["d"]).lower()
    return found


def selected(name: str, kind: str) -> str:
    """How a column is read so that nothing of it is lost."""
    if kind == "float":
        return f"CAST({quoted(name)} AS DOUBLE)"
    if kind in ("bit", "enum", "set"):
        # The number behind it: a name may be empty, or in any character set.
        return f"CAST({quoted(name)} AS UNSIGNED)"
    return quoted(name)


def literal(kind: str) -> Literal:
    """How a value of a type is written into a statement."""
    if kind in _NUMBERS:
        return bytes
    if kind in _TIMES:
        return lambda value: b"'" + value + b"'"
    introducer = b"_utf8mb4'" if kind == "json" else b"_binary'"
    return lambda value: introducer + value.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


@dataclass
class Carrier:
    """A pair of connections: a snapshot of the source, and a session on the target that logs nothing."""

    source: Connection
    target: Connection
    columns: Mapping[tuple[str, str], Columns]
    commit_bytes: int
    told: Callable[[Chunk, int], None]
    _size: int = field(default=0, init=False)

    def carry(self, chunk: Chunk) -> None:
        """Take a range of rows over, and tell of rows as they go."""
        kinds = self.columns.get((chunk.table.schema, chunk.table.name), {})
        if not kinds:
            return
        where, args = chunk.condition()
        wanted = ", ".join(selected(name, kind) for name, kind in kinds.items())
        head = f"INSERT INTO {chunk.table.sql} ({', '.join(map(quoted, kinds))}) VALUES ".encode()
        literals = [literal(kind) for kind in kinds.values()]
        rows: list[bytes] = []
        size, self._size = 0, 0
        for row in self.source.raw(f"SELECT {wanted} FROM {chunk.table.sql} WHERE {where}", args):
            values = [b"NULL" if value is None else write(value) for write, value in zip(literals, row, strict=True)]
            rows.append(b"(" + b",".join(values) + b")")
            size += len(rows[-1])
            if size >= STATEMENT_BYTES:
                self._write(chunk, head, rows)
                rows, size = [], 0
        if rows:
            self._write(chunk, head, rows)
        self.target.execute("COMMIT")
        let_go(self.source)

    def _write(self, chunk: Chunk, head: bytes, rows: list[bytes]) -> None:
        statement = head + b",".join(rows)
        self.target.execute(statement)
        self._size += len(statement)
        if self._size >= self.commit_bytes:
            # A table that cannot be cut into ranges must not become one transaction.
            self.target.execute("COMMIT")
            self._size = 0
        self.told(chunk, len(rows))
