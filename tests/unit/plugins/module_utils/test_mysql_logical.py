# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mysql_accounts, mysql_logical, mysql_objects
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import MysqlError
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_digest import Chunk, Table
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_logical import LogicalCopy, half_copied, marker
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_member import Member
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_objects import Object
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_tally import CopyTally
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Unreachable

GROUP = "7a3c1f2e-0000-4000-8000-000000000001"
MARKER = marker(GROUP)
POSITION = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-10"
GRADES = Table("openedx", "grades", {"id": "int"}, ("id",), 100, 10_000)
NOTES = Table("notes", "note", {"id": "int"}, (), 10, 500)
FRAMES = [Object("table", "openedx", "grades", b"CREATE TABLE `grades` (id INT PRIMARY KEY) AUTO_INCREMENT=5")]


class World:
    """A source with two tables, and a member. ``trouble`` is raised when a statement holds its word."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.schemas: set[str] = set()
        self.executed = ""
        self.left_over: list[int] = []
        self.said: list[str] = []
        self.trouble: dict[str, Exception] = {}
        self.objects = iter(lambda: FRAMES, None)
        self.rows: list[str] = []
        self.lock = threading.Lock()
        patch = monkeypatch.setattr
        patch(mysql_objects, "read", lambda connection: list(next(self.objects)))
        patch(mysql_objects, "make_frames", lambda target, objects: self.note("frames"))
        patch(mysql_objects, "programs", lambda target, objects: [])
        patch(mysql_objects, "drop_all", lambda target, keep: self.note(f"drop all but {keep}"))
        patch(mysql_accounts, "read", lambda connection, ours: [])
        patch(mysql_accounts, "privileges", lambda connection: frozenset())
        patch(mysql_accounts, "refuse_plugins", lambda target, accounts: None)
        patch(mysql_accounts, "make", lambda target, accounts: self.note("accounts"))
        patch(mysql_accounts, "finish", lambda target, accounts: None)
        patch(mysql_accounts, "drop_all", lambda target, ours: self.note(f"drop accounts but {sorted(ours)}"))
        patch(mysql_logical, "tables", lambda connection: [GRADES, NOTES])
        patch(mysql_logical, "columns", lambda connection: {("openedx", "grades"): {"id": "int"}})
        patch(mysql_logical, "freeze", lambda connections, seconds, clock, wait: POSITION)
        patch(mysql_logical, "Carrier", lambda *given: Carrier(self, given[-1]))
        patch(mysql_logical, "Scan", lambda connection: Scan())

    def note(self, what: str) -> None:
        with self.lock:
            self.said.append(what)
        for word, problem in self.trouble.items():
            if word in what:
                raise problem

    def copy(self) -> LogicalCopy:
        return LogicalCopy(
            Member("db1", "10.0.0.11"),
            GROUP,
            lambda seconds: Server(World.quiet(self)),
            lambda seconds: Server(self),
            ("tutorops_admin",),
            connections=2,
        )

    @staticmethod
    def quiet(world: World) -> World:
        """The source's side: what is said there is not of interest."""
        other = object.__new__(World)
        other.__dict__.update(world.__dict__, said=[], trouble={})
        return other


class Server:
    """A connection."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[dict[str, Any]]:
        if "innodb_trx" in sql:
            return [{"id": number} for number in self.world.left_over]
        if "WHERE schema_name" in sql:
            return [{"1": 1}] if args[0] in self.world.schemas else []
        return [{"n": name} for name in (*self.world.schemas, "mysql", "sys")]

    def value(self, sql: str, args: Sequence[Any] = ()) -> Any:
        return self.world.executed if "gtid_executed" in sql else 67108864

    def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        text = sql % tuple(args) if args else sql
        self.world.note(text)
        if text.startswith("CREATE DATABASE"):
            self.world.schemas.add(text.split("`")[1])
        elif text.startswith("DROP DATABASE"):
            self.world.schemas.discard(text.split("`")[1])
        elif "gtid_purged" in text:
            self.world.executed = POSITION
        return 0


class Carrier:
    """Carries rows into a list."""

    def __init__(self, world: World, told: Any) -> None:
        self.world, self.told = world, told

    def carry(self, chunk: Chunk) -> None:
        self.world.note(f"rows of {chunk.label}")
        self.told(chunk, 10)


class Scan:
    """Cuts the large table into ten ranges."""

    def chunks(self, table: Table, chunk_bytes: int) -> Iterator[Chunk]:
        if table is GRADES:
            for number in range(9):
                yield Chunk(table, (number,), (number + 1,))
        yield Chunk(table)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def order(world: World, *words: str) -> list[int]:
    return [next(place for place, text in enumerate(world.said) if word in text) for word in words]


def test_the_marker_stands_from_before_the_first_table_to_after_the_position(world: World) -> None:
    told: list[dict[str, Any]] = []
    copied = world.copy().run(lambda phase, figures: told.append(figures) if phase == "copy" else None)
    zones = [text for text in world.said if text.startswith("rows of mysql.time_zone")]
    assert len(zones) == 5
    # What is not counted by the server counts a byte a row.
    assert copied == 100 * 100 + 10 * 50 + 5 * 10
    places = order(
        world, "CREATE DATABASE", "frames", "rows of", "accounts", f"gtid_purged = {POSITION}", "DROP DATABASE"
    )
    assert places == sorted(places)
    assert sum(text.startswith("rows of openedx.grades") for text in world.said) == 10
    assert world.schemas == set()
    assert "sql_log_bin = 0" in world.said[next(iter(order(world, "sql_log_bin")))]
    last = [figures for figures in told if figures["stage"] == "rows"][-1]
    assert (last["bytes_done"], last["bytes_total"]) == (10_550, 10_550)


def test_the_member_is_closed_again_whatever_happens(world: World) -> None:
    world.copy().run(lambda phase, figures: None)
    assert world.said[-2:] == ["SET GLOBAL max_allowed_packet = 67108864", "SET GLOBAL super_read_only = ON"]
    world.said.clear()
    world.executed = ""
    world.trouble["rows of notes"] = MysqlError("the table is full", 1114)
    with pytest.raises(StoreError, match="copy into member db1 failed: the table is full; .* same playbook again"):
        world.copy().run(lambda phase, figures: None)
    assert world.said[-1] == "SET GLOBAL super_read_only = ON"
    assert not any("gtid_purged" in text for text in world.said)
    assert world.schemas == {MARKER}


def test_other_data_are_refused_before_anything_is_written(world: World) -> None:
    world.schemas = {"shop"}
    with pytest.raises(StoreError, match="db1 holds data that do not come from a copy .*databases shop"):
        world.copy().run(lambda phase, figures: None)
    # A copy for another group, or one that somebody has begun to use, is not ours either.
    world.schemas = {marker("0" * 36), "openedx"}
    with pytest.raises(StoreError, match="holds data"):
        world.copy().run(lambda phase, figures: None)
    world.schemas, world.executed = {MARKER, "openedx"}, POSITION
    with pytest.raises(StoreError, match="holds data"):
        world.copy().run(lambda phase, figures: None)
    assert {text.split()[0] for text in world.said} == {"SET"}


def test_half_a_copy_is_thrown_away_and_begun_anew(world: World) -> None:
    world.schemas, world.left_over = {MARKER, "openedx"}, [77]
    world.copy().run(lambda phase, figures: None)
    places = order(world, "KILL 77", f"drop all but ('{MARKER}',)", "drop accounts but ['tutorops_admin']", "frames")
    assert places == sorted(places)
    assert not any(text.startswith("CREATE DATABASE") for text in world.said)


def test_the_history_of_an_empty_member_gives_way(world: World) -> None:
    world.executed = "4e11fa47-71ca-11e1-9e33-c80aa9429562:1"
    world.copy().run(lambda phase, figures: None)
    assert "RESET BINARY LOGS AND GTIDS" in world.said


def test_definitions_that_change_while_the_copy_begins_are_read_again(world: World) -> None:
    altered = [Object("table", "openedx", "grades", b"CREATE TABLE `grades` (id BIGINT PRIMARY KEY)")]
    counted = [Object("table", "openedx", "grades", FRAMES[0].statement.replace(b"=5", b"=9"))]
    world.objects = iter([FRAMES, altered, altered, altered])
    world.copy().run(lambda phase, figures: None)
    world.executed = ""
    world.objects = iter([FRAMES, counted])
    world.copy().run(lambda phase, figures: None)


def test_a_source_whose_definitions_never_rest_is_refused(world: World) -> None:
    world.objects = iter([FRAMES, []] * 20)
    with pytest.raises(StoreError, match="changed again and again .* when no migration runs"):
        world.copy().run(lambda phase, figures: None)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (MysqlError("Table definition has changed", 1412), "tables were changed while they were copied"),
        (Unreachable("db1 does not answer"), "failed: db1 does not answer"),
    ],
)
def test_why_a_copy_failed_is_told(world: World, problem: Exception, words: str) -> None:
    world.trouble["rows of openedx.grades, id from after 3"] = problem
    with pytest.raises(StoreError, match=words):
        world.copy().run(lambda phase, figures: None)


def test_a_marker_that_outlived_its_copy_is_taken_away(world: World) -> None:
    world.schemas, world.executed = {MARKER, "openedx"}, POSITION
    world.copy().settle()
    assert world.schemas == {"openedx"} and world.said[-1] == "SET GLOBAL super_read_only = ON"
    world.said.clear()
    world.copy().settle()
    assert world.said == []


def test_half_a_copy_is_known_by_its_marker_and_by_having_no_position() -> None:
    assert half_copied({MARKER, "openedx"}, "", GROUP)
    assert not half_copied({MARKER, "openedx"}, POSITION, GROUP)
    assert not half_copied({"openedx"}, "", GROUP)


def test_a_tally_tells_what_an_operator_of_a_physical_copy_sees() -> None:
    now = [0.0]
    tally = CopyTally("db1", [GRADES, NOTES], lambda: now[0])
    now[0] = 10.0
    tally.add(Chunk(GRADES), 50)
    assert tally.figures() == {
        "member": "db1",
        "stage": "rows",
        "table": "openedx.grades",
        "bytes_done": 5000,
        "bytes_total": 10_500,
        "rate": 500,
        "seconds_left": 11,
    }
    # The number of rows was an estimate.
    tally.add(Chunk(GRADES), 500)
    assert tally.figures()["bytes_total"] == tally.figures()["bytes_done"] == 55_000
