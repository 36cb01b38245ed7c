# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mysql_rows
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import MysqlError
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_digest import Chunk, Table
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_rows import Carrier, literal, selected

TABLE = Table("open`edx", "grades", {"id": "int", "body": "longtext"}, ("id",), 10, 1000)
NAME = ("open`edx", "grades")


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("int", b"-7", b"-7"),
        ("decimal", b"1.500", b"1.500"),
        ("float", b"0.3333333432674408", b"0.3333333432674408"),
        ("enum", b"0", b"0"),
        ("datetime", b"0000-00-00 00:00:00", b"'0000-00-00 00:00:00'"),
        ("varchar", b"caf\xe9 it's \\ \x00\n", b"_binary'caf\xe9 it\\'s \\\\ \x00\n'"),
        ("longblob", b"\\'\\'", b"_binary'\\\\\\'\\\\\\''"),
        ("point", b"\x00\x27", b"_binary'\x00\\''"),
        # A type that we do not know travels as bytes, too.
        ("vector", b"\x5c", b"_binary'\\\\'"),
        ("json", b'{"a": "q\\"\\u0027"}', b'_utf8mb4\'{"a": "q\\\\"\\\\u0027"}\''),
    ],
)
def test_a_value_is_written_byte_for_byte(kind: str, value: bytes, text: bytes) -> None:
    assert literal(kind)(value) == text


def test_columns_are_read_so_that_nothing_is_lost() -> None:
    assert selected("a`b", "varchar") == "`a``b`"
    assert selected("f", "float") == "CAST(`f` AS DOUBLE)"
    assert selected("e", "enum") == "CAST(`e` AS UNSIGNED)"


class Server:
    """Gives rows on one side, and notes statements on the other."""

    def __init__(self, rows: Sequence[tuple[bytes | None, ...]] = (), refuse: str = "") -> None:
        self.rows = rows
        self.refuse = refuse
        self.said: list[str | bytes] = []

    def raw(self, sql: str, args: Sequence[Any] = ()) -> Iterator[tuple[bytes | None, ...]]:
        self.said.append(sql)
        yield from self.rows

    def execute(self, sql: str | bytes, args: Sequence[Any] = ()) -> int:
        if self.refuse and self.refuse in str(sql):
            raise MysqlError("no room", 1114)
        self.said.append(sql)
        return 0


def carrier(source: Server, target: Server, told: list[int], commit_bytes: int = 10**6) -> Carrier:
    columns = {NAME: {"id": "int", "body": "longtext"}}
    return Carrier(source, target, columns, commit_bytes, lambda chunk, rows: told.append(rows))


def test_a_range_is_carried_in_statements_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql_rows, "STATEMENT_BYTES", 40)
    source, target, told = Server([(b"%d" % number, b"x" * 10) for number in range(5)]), Server(), []
    carrier(source, target, told).carry(Chunk(TABLE, (1,), (9,)))
    assert source.said[0] == (
        "SELECT `id`, `body` FROM `open``edx`.`grades` WHERE (`id` >= %s AND ((`id` > %s))) AND (`id` <= %s AND ((`id`"
        " <= %s)))"
    )
    inserts = [one for one in target.said if isinstance(one, bytes)]
    assert inserts[0].startswith(b"INSERT INTO `open``edx`.`grades` (`id`, `body`) VALUES (0,_binary'xxxxxxxxxx'),(1,")
    assert told == [2, 2, 1] and len(inserts) == 3
    assert target.said[-1] == "COMMIT"
    # What was read can be altered again.
    assert str(source.said[-1]).startswith("ROLLBACK TO SAVEPOINT")


def test_a_table_without_ranges_is_more_than_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql_rows, "STATEMENT_BYTES", 1)
    target = Server()
    carrier(Server([(b"1", None)] * 3), target, [], commit_bytes=150).carry(Chunk(TABLE))
    assert target.said.count("COMMIT") == 2
    assert b"(1,NULL)" in target.said[0]  # type: ignore[operator]


def test_an_empty_range_writes_nothing() -> None:
    target, told = Server(), []
    carrier(Server(), target, told).carry(Chunk(TABLE))
    assert target.said == ["COMMIT"] and told == []


def test_what_the_target_refuses_is_not_committed() -> None:
    target = Server(refuse="INSERT")
    with pytest.raises(MysqlError, match="no room"):
        carrier(Server([(b"1", b"x")]), target, []).carry(Chunk(TABLE))
    assert target.said == []
