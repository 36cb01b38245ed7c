# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases, tables, views, routines, triggers and events as statements, taken from one server to another one.

A stored program means what it means under the settings with which it was made, and its text is in the character set of
who made it. So each statement travels as bytes, together with those settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from .mysql_client import Connection, MysqlError
from .mysql_digest import quoted
from .mysql_member import SYSTEM_SCHEMAS
from .mysql_schema import OBJECTS
from .stores.base import StoreError

_DATABASES = (
    "SELECT schema_name AS s, schema_name AS n FROM information_schema.schemata"
    f" WHERE schema_name NOT IN {SYSTEM_SCHEMAS} ORDER BY 1"
)
_COUNTER = re.compile(rb"\sAUTO_INCREMENT=\d+")
#: Where SHOW CREATE has the statement, and the settings that belong to it.
_CLIENT, _COLLATION, _MODE, _ZONE = "character_set_client", "collation_connection", "sql_mode", "time_zone"
_COLUMNS: dict[str, tuple[int, dict[str, int]]] = {
    "database": (1, {}),
    "table": (1, {}),
    "view": (1, {_CLIENT: 2, _COLLATION: 3}),
    "function": (2, {_MODE: 1, _CLIENT: 3, _COLLATION: 4}),
    "procedure": (2, {_MODE: 1, _CLIENT: 3, _COLLATION: 4}),
    "trigger": (2, {_MODE: 1, _CLIENT: 3, _COLLATION: 4}),
    "event": (3, {_MODE: 1, _ZONE: 2, _CLIENT: 4, _COLLATION: 5}),
}
#: Where the database's collation stands, which a stored program also keeps.
_DATABASE_COLLATION = {"function": 5, "procedure": 5, "trigger": 5, "event": 6}
#: What has to be there before data can come, and what must not be there before they have come.
_FRAMES = ("database", "table")
_PROGRAMS = ("function", "procedure", "view", "trigger", "event")
#: A table or routine is not there, or not yet; nor are definers, or their privileges.
_NOT_YET = (1146, 1305, 1356, 1449, 1044, 1142, 1143, 1370)


@dataclass(frozen=True)
class Object:
    """Something that is defined in a database."""

    kind: str
    schema: str
    name: str
    statement: bytes
    settings: tuple[tuple[str, str], ...] = ()
    database_collation: str = ""

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.kind} {self.schema}" + (f".{self.name}" if self.kind != "database" else "")

    @property
    def fixed(self) -> Object:
        """The same without its counter, which moves with each row."""
        return Object(
            self.kind, self.schema, self.name, _COUNTER.sub(b"", self.statement), self.settings, self.database_collation
        )


@dataclass(frozen=True)
class Step:
    """Something to be made that may have to wait for something else."""

    label: str
    take: Callable[[], object]


def read(connection: Connection) -> list[Object]:
    """Everything that is defined, in the order in which it can be made."""
    connection.execute("SET SESSION character_set_results = NULL")
    try:
        return [
            _shown(connection, kind, str(row["s"]), str(row["n"]))
            for kind in (*_FRAMES, *_PROGRAMS)
            for row in connection.query(OBJECTS.get(kind, _DATABASES))
        ]
    finally:
        connection.execute("SET SESSION character_set_results = utf8mb4")


def make_frames(target: Connection, objects: Iterable[Object]) -> None:
    """Make databases and tables."""
    for one in objects:
        if one.kind in _FRAMES:
            _make(target, one)


def programs(target: Connection, objects: Iterable[Object]) -> list[Step]:
    """The steps that make what acts on data or reads them: routines first."""
    found = sorted((one for one in objects if one.kind in _PROGRAMS), key=lambda one: _PROGRAMS.index(one.kind))
    return [Step(one.label, partial(_make, target, one)) for one in found]


def take(steps: Sequence[Step]) -> None:
    """Take steps in whatever order they allow: views want tables and their definers' privileges, grants want views."""
    while steps:
        left: list[Step] = []
        problem: MysqlError | None = None
        for step in steps:
            try:
                step.take()
            except MysqlError as refused:
                if refused.code not in _NOT_YET:
                    raise StoreError(f"{step.label} cannot be made: {refused}") from refused
                left, problem = [*left, step], refused
        if len(left) == len(steps):
            raise StoreError(
                f"{left[0].label} cannot be made, because what it needs is not there ({problem}): mend or drop it on "
                "the source"
            )
        steps = left


def drop_all(target: Connection, keep: Sequence[str]) -> None:
    """Remove all databases but the server's own and those to ``keep``."""
    for row in target.query(_DATABASES):
        if row["n"] not in keep:
            target.execute(f"DROP DATABASE {quoted(row['n'])}")


def _shown(connection: Connection, kind: str, schema: str, name: str) -> Object:
    what = quoted(schema) if kind == "database" else f"{quoted(schema)}.{quoted(name)}"
    row = next(connection.raw(f"SHOW CREATE {kind.upper()} {what}"))
    place, settings = _COLUMNS[kind]
    statement = row[place]
    if statement is None:
        raise StoreError(f"the source does not show how {kind} {schema}.{name} was made: its account lacks privileges")
    return Object(
        kind,
        schema,
        name,
        statement,
        tuple((setting, _text(row[column])) for setting, column in settings.items()),
        _text(row[_DATABASE_COLLATION[kind]]) if kind in _DATABASE_COLLATION else "",
    )


def _make(target: Connection, one: Object) -> None:
    if one.kind != "database":
        target.execute(f"USE {quoted(one.schema)}")
    collation = target.value("SELECT @@collation_database") if one.database_collation else ""
    moved = bool(one.database_collation) and collation != one.database_collation
    kept = {name: target.value(f"SELECT @@SESSION.{name}") for name, _ in one.settings}
    try:
        if moved:
            target.execute(f"ALTER DATABASE {quoted(one.schema)} COLLATE {one.database_collation}")
        for name, value in one.settings:
            target.execute(f"SET SESSION {name} = %s", (value,))
        target.execute(one.statement)
    finally:
        for name, value in kept.items():
            target.execute(f"SET SESSION {name} = %s", (value,))
        if moved:
            target.execute(f"ALTER DATABASE {quoted(one.schema)} COLLATE {collation}")


def _text(value: bytes | None) -> str:
    return (value or b"").decode()
