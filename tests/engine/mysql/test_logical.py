# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journey of a store that is copied row by row, with what goes wrong on its way."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import Connection
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_gtid import count
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_logical import marker
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_snapshot import freeze, let_go
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import CLUSTER, LOCAL, StoreError
from ansible_collections.tutorops.scale.plugins.module_utils.stores.mysql import MysqlStore
from journey import Told, compared, fails_when_a_member_is_killed, writes_survive
from platform_oddities import add_oddities
from relay import RelayDoor
from servers import Site, await_true
from writer import Writer


@pytest.fixture(scope="module")
def way() -> str:
    return "logical"


@pytest.fixture(scope="module")
def rows() -> int:
    return 120_000


@pytest.fixture(scope="module", autouse=True)
def oddities(site: Site) -> None:
    with site.root("source", 60) as connection:
        add_oddities(connection)


def ask(store: MysqlStore, name: str, sql: str) -> list[dict[str, Any]]:
    """Ask a member as its administrator: root of the member's own goes with the first copy."""
    member = next(one for one in store.settings.members if one.name == name)
    with store.cluster.connect(member) as connection:
        return connection.query(sql)


def held(store: MysqlStore, name: str = "one") -> set[str]:
    return {row["n"] for row in ask(store, name, "SELECT schema_name AS n FROM information_schema.schemata")}


def under_way(figures: dict[str, Any]) -> bool:
    """Whether a copy has some of its rows, and not all."""
    return bool(0 < figures.get("bytes_done", 0) < figures.get("bytes_total", 0))


def test_a_member_with_other_data_is_left_alone(site: Site, store: MysqlStore) -> None:
    member = site.root("one")
    member.execute("SET GLOBAL super_read_only = OFF")
    member.execute("SET SESSION sql_log_bin = 0")
    member.execute("CREATE DATABASE treasure")
    try:
        with pytest.raises(StoreError, match="member one holds other data .databases treasure"):
            store.follow(Told())
        assert "treasure" in held(store)
    finally:
        member.execute("DROP DATABASE treasure")
        member.execute("SET GLOBAL super_read_only = ON")


def test_snapshots_hold_exactly_what_their_position_says(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    """Each write is one row and one transaction, so both can be counted."""
    assert store.source.prepare(Told(), clone=False)
    stop = threading.Event()

    def write() -> None:
        with site.app("source") as connection:
            while not stop.wait(0.001):
                connection.execute("INSERT INTO openedx.entries (number) VALUES (0)")

    begun = count(store.local.position())
    writers = [threading.Thread(target=write) for _ in range(4)]
    readers = [store.local.dial(30) for _ in range(3)]
    for one in writers:
        one.start()
    try:
        found = []
        for _ in range(50):
            position = freeze(readers, 60)
            seen = {one.value("SELECT COUNT(*) FROM openedx.entries") for one in readers}
            found.append((count(position) - begun, seen))
            time.sleep(0.02)
    finally:
        stop.set()
        for one in writers:
            one.join()
    assert [number for number, seen in found if seen != {number}] == []
    assert len({number for number, _ in found}) > 20, "nobody wrote"


def test_a_table_that_is_read_can_be_altered(site: Site, store: MysqlStore) -> None:
    with store.local.dial(30) as reader, site.root("source", 5) as other:
        freeze([reader], 60)
        assert reader.value("SELECT COUNT(*) FROM notes.note")
        let_go(reader)
        other.execute("ALTER TABLE notes.note ADD COLUMN later INT")
        other.execute("ALTER TABLE notes.note DROP COLUMN later")
        assert reader.value("SELECT COUNT(*) FROM openedx.grades"), "the snapshot is still there"


def test_a_member_that_is_killed_in_a_copy_fails_it_and_nothing_else(
    site: Site, store: MysqlStore, door: RelayDoor
) -> None:
    said = r"logical copy into member one failed: .* run the same playbook again"
    fails_when_a_member_is_killed(site, store, door, under_way, said)
    await_true(lambda: marker(site.group) in held(store), "member one, with half a copy")


def test_a_driver_that_is_killed_in_a_copy_leaves_half_of_it(site: Site, store: MysqlStore, tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({**site.settings(), "limits": {"gtid_watch_seconds": 1.0, "connections": 2}}))
    program = Path(__file__).parent / "follow_once.py"
    with subprocess.Popen([sys.executable, str(program), str(settings)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if told["phase"] == "copy" and under_way(told):
                process.kill()
                break
    assert process.returncode == -9
    assert {marker(site.group), "openedx"} <= held(store)
    assert ask(store, "one", "SELECT @@global.gtid_executed AS g") == [{"g": ""}]


def test_it_follows_under_writes(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    told = Told()
    with Writer(door.port) as writer:
        begun = time.monotonic()
        done = store.follow(told)
        print(f"\nfollow: {time.monotonic() - begun:.1f} s, {done}, longest write {writer.longest:.3f} s")
    assert done["changed"] and done["way"] == "logical" and done["bytes"] > 10_000_000
    assert done["members"] == ["one", "two", "three"]
    assert writer.failed == []
    copies = [one for one in told.of("copy") if one["stage"] == "rows"]
    print(f"copy: {copies[-1]}")
    assert copies[-1]["bytes_total"] >= copies[-1]["bytes_done"] > 0 and copies[-1]["rate"] > 0
    assert all(marker(site.group) not in held(store, name) for name in ("one", "two", "three"))
    assert store.cluster.closed() and not store.local.closed()
    store.cluster.reach(store.local.position(), 10)
    assert writer.audit(store.cluster.dial(10)) == ([], [])
    status = store.status()
    assert (status["stage"], status["trouble"]) == ("following", [])


def test_following_again_changes_nothing(store: MysqlStore) -> None:
    assert not store.follow(Told())["changed"]


def test_both_ends_are_equal_in_everything(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    with Writer(door.port) as writer:
        outcome = compared(store)
    assert outcome.differences == []
    assert outcome.items == 10
    assert writer.failed == []


def test_programs_keep_the_settings_with_which_they_were_made(site: Site, store: MysqlStore) -> None:
    asked = (
        "SELECT routine_schema AS s, routine_name AS n, sql_mode AS m, character_set_client AS c, collation_connection"
        " AS k, database_collation AS d FROM information_schema.routines WHERE routine_schema NOT IN ('sys', 'mysql')"
        " UNION ALL SELECT trigger_schema, trigger_name, sql_mode, character_set_client, collation_connection,"
        " CONCAT(database_collation, action_order) FROM information_schema.triggers WHERE trigger_schema <> 'sys'"
        " UNION ALL SELECT event_schema, event_name, sql_mode, character_set_client, time_zone, database_collation"
        " FROM information_schema.events ORDER BY 1, 2"
    )
    source = site.root("source").query(asked)
    assert len(source) >= 9
    assert store.cluster.server.query(asked) == source


def test_time_zones_have_their_names(store: MysqlStore) -> None:
    for name in ("one", "two", "three"):
        found = ask(store, name, "SELECT CONVERT_TZ('2026-01-01 00:00:00', 'Here/There', '+00:00') AS t")
        assert str(found[0]["t"]) == "2025-12-31 22:45:00"


def test_accounts_log_in_with_what_they_had(site: Site, store: MysqlStore) -> None:
    with Connection(host=store.cluster.primary().address, user="openedx", password="app", timeout=10) as connection:
        assert connection.value("SELECT COUNT(*) FROM openedx.grades")


def test_it_flips_to_the_cluster(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    writes_survive(site, store, door, CLUSTER)
    status = store.status()
    assert (status["stage"], status["way_back"], status["trouble"]) == ("cutover", True, [])


def test_it_rolls_back_with_every_later_write(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    assert compared(store).equal
    writes_survive(site, store, door, LOCAL)
    assert store.status()["stage"] == "following"


def test_it_flips_again(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    store.follow(Told())
    assert compared(store).equal
    writes_survive(site, store, door, CLUSTER)
