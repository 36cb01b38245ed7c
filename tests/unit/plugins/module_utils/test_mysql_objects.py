# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mysql_objects
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import MysqlError
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_objects import Object, Step
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

TABLE = Object("table", "d", "t", b"CREATE TABLE `t` (a INT) ENGINE=InnoDB AUTO_INCREMENT=9")


class Server:
    """A server of one database; ``shown`` is what SHOW CREATE gives."""

    def __init__(self, shown: dict[str, tuple[bytes | None, ...]] | None = None) -> None:
        self.shown = shown or {}
        self.said: list[str | bytes] = []
        self.settings = {"sql_mode": "OURS", "character_set_client": "utf8mb4", "collation_connection": "utf8mb4_bin"}

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[dict[str, Any]]:
        kinds = {"schemata": "database", "information_schema.tables": "table", "triggers": "trigger"}
        kind = next((kind for word, kind in kinds.items() if word in sql), "")
        return [{"s": "d", "n": {"database": "d", "table": "t", "trigger": "g"}[kind]}] if kind in self.shown else []

    def raw(self, sql: str, args: Sequence[Any] = ()) -> Iterator[tuple[bytes | None, ...]]:
        yield self.shown[sql.split()[2].lower()]

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        if "collation_database" in sql:
            return "utf8mb4_unicode_ci"
        return self.settings[sql.rpartition(".")[2]]

    def execute(self, sql: str | bytes, args: Sequence[Any] = ()) -> int:
        self.said.append(sql % tuple(args) if args and isinstance(sql, str) else sql)
        return 0


def test_objects_are_read_with_the_settings_that_belong_to_them() -> None:
    source = Server(
        {
            "database": (b"d", b"CREATE DATABASE `d`"),
            "table": (b"t", TABLE.statement),
            "trigger": (b"g", b"ANSI", b"CREATE TRIGGER \xe9", b"latin1", b"latin1_swedish_ci", b"utf8mb4_bin", b""),
        }
    )
    database, table, trigger = mysql_objects.read(source)
    assert (database.kind, table, table.label) == ("database", TABLE, "table d.t")
    assert trigger.statement == b"CREATE TRIGGER \xe9"
    assert dict(trigger.settings) == {
        "sql_mode": "ANSI",
        "character_set_client": "latin1",
        "collation_connection": "latin1_swedish_ci",
    }
    assert trigger.database_collation == "utf8mb4_bin"
    # Read as stored, and with words again afterwards.
    assert source.said == ["SET SESSION character_set_results = NULL", "SET SESSION character_set_results = utf8mb4"]


def test_an_account_that_may_not_see_a_program_is_told() -> None:
    with pytest.raises(StoreError, match=r"table d\.t was made: its account lacks privileges"):
        mysql_objects.read(Server({"table": (b"t", None)}))


def test_rows_that_come_meanwhile_do_not_change_a_table() -> None:
    later = Object("table", "d", "t", TABLE.statement.replace(b"=9", b"=12"))
    assert later != TABLE and later.fixed == TABLE.fixed
    assert Object("table", "d", "t", b"CREATE TABLE `t` (b INT)").fixed != TABLE.fixed


def test_a_program_is_made_under_its_own_settings_and_ours_come_back() -> None:
    target = Server()
    trigger = Object("trigger", "d", "g", b"CREATE TRIGGER \xe9", (("sql_mode", "ANSI"),), "latin1_swedish_ci")
    mysql_objects.take(mysql_objects.programs(target, [TABLE, trigger]))
    assert target.said == [
        "USE `d`",
        "ALTER DATABASE `d` COLLATE latin1_swedish_ci",
        "SET SESSION sql_mode = ANSI",
        b"CREATE TRIGGER \xe9",
        "SET SESSION sql_mode = OURS",
        "ALTER DATABASE `d` COLLATE utf8mb4_unicode_ci",
    ]


def test_databases_and_tables_come_before_rows() -> None:
    target = Server()
    view = Object("view", "d", "v", b"CREATE VIEW")
    mysql_objects.make_frames(target, [Object("database", "d", "d", b"CREATE DATABASE `d`"), TABLE, view])
    assert target.said == [b"CREATE DATABASE `d`", "USE `d`", TABLE.statement]


class Waiting:
    """Steps that need other steps."""

    def __init__(self, code: int = 1146) -> None:
        self.done: list[str] = []
        self.code = code

    def step(self, name: str, *needs: str) -> Step:
        def take() -> None:
            if not set(needs) <= set(self.done):
                raise MysqlError("not there", self.code)
            self.done.append(name)

        return Step(name, take)


def test_steps_are_taken_in_whatever_order_they_allow() -> None:
    world = Waiting()
    mysql_objects.take([world.step("a", "b"), world.step("b", "c"), world.step("grant", "a"), world.step("c")])
    assert world.done == ["c", "b", "a", "grant"]


def test_what_never_can_be_made_is_named_with_the_cure() -> None:
    world = Waiting()
    with pytest.raises(StoreError, match="view d.v cannot be made, because .* mend or drop it on the source"):
        mysql_objects.take([world.step("view d.v", "gone"), world.step("x")])
    assert world.done == ["x"]


def test_another_refusal_is_not_waited_for() -> None:
    with pytest.raises(StoreError, match="event d.e cannot be made: not there"):
        mysql_objects.take([Waiting(1064).step("event d.e", "gone")])
