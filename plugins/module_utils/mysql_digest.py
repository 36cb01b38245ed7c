# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of rows: what is compared of a table, and how it is cut into ranges of its primary key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .mysql_client import Connection
from .mysql_member import SYSTEM_SCHEMAS
from .mysql_snapshot import let_go

#: The name that MySQL gives to a primary key that it adds by itself.
ADDED_KEY = "my_row_id"
#: Types whose order in an index is the order of their values as we can write them.
_ORDERED = frozenset(
    "tinyint smallint mediumint int bigint decimal char varchar binary varbinary date datetime timestamp year".split()
)
_LARGE = frozenset("tinytext text mediumtext longtext tinyblob blob mediumblob longblob".split())
_SPATIAL = frozenset(
    "geometry point linestring polygon multipoint multilinestring multipolygon geomcollection"
    " geometrycollection".split()
)
_CHARACTERS = frozenset("char varchar enum set".split())

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A table as the serving end describes it."""

    schema: str
    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    rows: int
    bytes: int

    @property
    def sql(self) -> str:
        """Its name for a statement."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.schema}.{self.name}"

    @property
    def row_bytes(self) -> int:
        """The average size of a row."""
        return max(self.bytes // max(self.rows, 1), 1)


@dataclass(frozen=True)
class Chunk:
    """The rows of a table whose key is greater than ``low`` and not greater than ``high``; None is no bound."""

    table: Table
    low: Key | None = None
    high: Key | None = None

    @property
    def label(self) -> str:
        """The range in words."""
        if self.low is None and self.high is None:
            return self.table.label
        name = ", ".join(self.table.key)
        low = "the first" if self.low is None else f"after {_shown(self.low)}"
        high = "the last" if self.high is None else _shown(self.high)
        return f"{self.table.label}, {name} from {low} to {high}"

    def condition(self) -> tuple[str, list[Any]]:
        """The condition for WHERE, and its arguments."""
        parts: list[str] = []
        args: list[Any] = []
        for bound, signs in ((self.low, (">", ">", ">=")), (self.high, ("<", "<=", "<="))):
            if bound is not None:
                part, given = _beyond(self.table.key, bound, *signs)
                parts.append(f"({part})")
                args.extend(given)
        return " AND ".join(parts) or "TRUE", args


@dataclass(frozen=True)
class Digest:
    """How many rows there are, and the sum of their digests: the order of rows does not matter, their number does."""

    rows: int = 0
    sum: int = 0


@dataclass
class Scan:
    """Reads one end through one snapshot, and lets go of each table between two ranges."""

    connection: Connection
    _expressions: dict[str, str] = field(default_factory=dict)

    def digest(self, chunk: Chunk) -> Digest:
        """Digest a range."""
        where, args = chunk.condition()
        row = self.connection.query(
            f"SELECT COUNT(*) AS n, COALESCE(SUM({self._row(chunk.table)}), 0) AS total"
            f" FROM {chunk.table.sql} WHERE {where}",
            args,
        )[0]
        let_go(self.connection)
        return Digest(int(row["n"]), int(row["total"]))

    def rows(self, chunk: Chunk) -> dict[Key, int]:
        """The digest of each row of a range, by its key."""
        where, args = chunk.condition()
        names = ", ".join(map(quoted, chunk.table.key))
        found = self.connection.query(
            f"SELECT {names}, {self._row(chunk.table)} AS `row digest` FROM {chunk.table.sql} WHERE {where}", args
        )
        let_go(self.connection)
        return {tuple(row[name] for name in chunk.table.key): int(row["row digest"]) for row in found}

    def chunks(self, table: Table, chunk_bytes: int) -> Iterator[Chunk]:
        """Cut a table into ranges of about ``chunk_bytes``; one range where its key has no usable order."""
        step = min(max(chunk_bytes // table.row_bytes, 100), 200_000)
        low: Key | None = None
        while table.key and all(table.columns[name].partition(" ")[0] in _ORDERED for name in table.key):
            high = self._bound(table, low, step)
            if high is None:
                break
            yield Chunk(table, low, high)
            low = high
        yield Chunk(table, low)

    def _bound(self, table: Table, low: Key | None, step: int) -> Key | None:
        where, args = Chunk(table, low).condition()
        names = ", ".join(map(quoted, table.key))
        rows = self.connection.query(
            f"SELECT {names} FROM {table.sql} FORCE INDEX (PRIMARY) WHERE {where} ORDER BY {names} LIMIT 1 OFFSET "
            f"{step - 1}",
            args,
        )
        let_go(self.connection)
        return tuple(rows[0][name] for name in table.key) if rows else None

    def _row(self, table: Table) -> str:
        if table.label not in self._expressions:
            self._expressions[table.label] = row_digest(table.columns)
        return self._expressions[table.label]


def tables(connection: Connection) -> list[Table]:
    """The tables of a server, the largest first."""
    connection.execute("SET SESSION information_schema_stats_expiry = 0")
    where = f"table_schema NOT IN {SYSTEM_SCHEMAS}"
    columns: dict[tuple[str, str], dict[str, str]] = {}
    for row in connection.query(
        f"SELECT table_schema AS s, table_name AS t, column_name AS c, data_type AS d FROM information_schema.columns"
        f" WHERE {where} ORDER BY table_schema, table_name, ordinal_position"
    ):
        columns.setdefault((row["s"], row["t"]), {})[row["c"]] = str(row["d"]).lower()
    keys: dict[tuple[str, str], list[tuple[str, bool]]] = {}
    for row in connection.query(
        f"SELECT table_schema AS s, table_name AS t, column_name AS c, sub_part AS p FROM information_schema.statistics"
        f" WHERE {where} AND index_name = 'PRIMARY' ORDER BY table_schema, table_name, seq_in_index"
    ):
        keys.setdefault((row["s"], row["t"]), []).append((row["c"], row["p"] is None))
    found = []
    for row in connection.query(
        "SELECT table_schema AS s, table_name AS t, table_rows AS n, data_length AS b FROM information_schema.tables"
        f" WHERE {where} AND table_type = 'BASE TABLE'"
    ):
        name = row["s"], row["t"]
        key = keys.get(name, [])
        # An index on the beginning of a column does not tell rows apart, and neither end's added key means anything.
        usable = bool(key) and all(whole for _, whole in key) and key != [(ADDED_KEY, True)]
        found.append(
            Table(
                schema=row["s"],
                name=row["t"],
                columns={column: kind for column, kind in columns[name].items() if column != ADDED_KEY},
                key=tuple(column for column, _ in key) if usable else (),
                rows=int(row["n"] or 0),
                bytes=int(row["b"] or 0),
            )
        )
    return sorted(found, key=lambda table: (-table.bytes, table.label))


def row_digest(columns: dict[str, str]) -> str:
    """An expression for 60 bits of SHA-256 over a row; different rows give different texts to it, whatever they "
    "hold."""
    parts = [part for name, kind in columns.items() for part in _parts(quoted(name), kind)]
    return f"CAST(CONV(LEFT(SHA2(CONCAT_WS(',', {', '.join(parts)}), 256), 15), 16, 10) AS UNSIGNED)"


def quoted(name: str) -> str:
    """A name as SQL wants it."""
    return "`" + name.replace("`", "``") + "`"


def _parts(column: str, kind: str) -> Sequence[str]:
    if kind in _CHARACTERS or kind in ("binary", "varbinary"):
        text = f"CAST({column} AS BINARY)"
        # With its length in front, a value cannot be taken for two.
        return f"COALESCE(LENGTH({column}), '-')", f"COALESCE({text}, '')"
    if kind in _LARGE:
        return (f"COALESCE(SHA2({column}, 256), '-')",)
    if kind in _SPATIAL:
        return (f"COALESCE(SHA2(HEX({column}), 256), '-')",)
    if kind == "json":
        return (f"COALESCE(SHA2(CAST({column} AS CHAR), 256), '-')",)
    if kind == "float":
        # As text a float shows six digits only.
        return (f"COALESCE(CAST({column} AS DOUBLE), '-')",)
    if kind == "bit":
        return (f"COALESCE({column} + 0, '-')",)
    return (f"COALESCE({column}, '-')",)


def _beyond(key: Sequence[str], bound: Key, inner: str, last: str, outer: str) -> tuple[str, list[Any]]:
    """A condition on one side of a bound. ``outer`` repeats it for the first column, so that MySQL uses the index."""
    parts: list[str] = []
    args: list[Any] = []
    for position, name in enumerate(key):
        equal = [f"{quoted(other)} = %s" for other in key[:position]]
        sign = last if position == len(key) - 1 else inner
        parts.append("(" + " AND ".join([*equal, f"{quoted(name)} {sign} %s"]) + ")")
        args.extend(bound[: position + 1])
    return f"{quoted(key[0])} {outer} %s AND ({' OR '.join(parts)})", [bound[0], *args]


def _shown(key: Key) -> str:
    return ", ".join(value.hex() if isinstance(value, bytes) else str(value) for value in key)
