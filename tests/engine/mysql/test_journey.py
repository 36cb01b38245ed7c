# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journey of one store over real servers: follow, compare, flip, back, and again, under writes."""

from __future__ import annotations

import time

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import CLUSTER, LOCAL, StoreError
from ansible_collections.tutorops.scale.plugins.module_utils.stores.mysql import MysqlStore
from journey import Told, compared, fails_when_a_member_is_killed, writes_survive
from relay import RelayDoor
from servers import Site, await_true, docker
from writer import Writer


def test_a_copy_that_is_cut_down_fails_and_leaves_the_platform_alone(
    site: Site, store: MysqlStore, door: RelayDoor
) -> None:
    # Slow enough to be struck in the middle; the restart ends that.
    site.root("one").execute("SET GLOBAL clone_max_data_bandwidth = 5")
    said = r"member one failed: .* run the same playbook again"
    fails_when_a_member_is_killed(site, store, door, lambda figures: figures["bytes_done"], said)


def test_it_follows_under_writes(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    told = Told()
    await_true(lambda: store.cluster.states()[0].reachable, "member one, killed in the middle of a copy")
    with Writer(door.port) as writer:
        begun = time.monotonic()
        done = store.follow(told)
        print(f"\nfollow: {time.monotonic() - begun:.1f} s, {done}, longest write {writer.longest:.3f} s")
    assert done["changed"] and done["way"] == "physical" and done["bytes"] > 1_000_000
    assert done["members"] == ["one", "two", "three"]
    assert writer.failed == []
    copies = told.of("copy")
    assert copies and copies[-1]["bytes_total"] >= copies[-1]["bytes_done"] > 0
    assert store.cluster.closed() and not store.local.closed()
    store.cluster.reach(store.local.position(), 10)
    assert writer.audit(store.cluster.dial(10)) == ([], [])
    status = store.status()
    assert (status["stage"], status["trouble"]) == ("following", [])
    assert status["lag"]["transactions"] == 0


def test_following_again_changes_nothing(store: MysqlStore) -> None:
    begun = time.monotonic()
    assert not store.follow(Told())["changed"]
    assert time.monotonic() - begun < 10


def test_it_is_not_ready_before_a_comparison(store: MysqlStore) -> None:
    with pytest.raises(StoreError, match="run the stage compare first"):
        store.ready()


def test_equal_ends_are_found_equal_under_writes(store: MysqlStore, door: RelayDoor) -> None:
    told = Told()
    with Writer(door.port) as writer:
        outcome = compared(store, told)
        print(f"\ncompare: {outcome.rows} rows, {outcome.bytes} bytes, {outcome.seconds} s, {told.of('snapshot')}")
    assert outcome.differences == []
    assert outcome.items == 5
    assert outcome.rows > 5000
    assert writer.failed == []
    assert told.of("compare")[-1]["bytes_done"] > 0


def test_a_row_that_differs_is_named(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    def alter(statement: str) -> None:
        connection = store.cluster.dial(10)
        connection.execute("SET GLOBAL super_read_only = OFF")
        connection.execute("SET SESSION sql_log_bin = 0")
        connection.execute(statement)
        connection.execute("SET GLOBAL super_read_only = ON")

    alter("UPDATE openedx.grades SET weight = weight + 0.00001 WHERE student = 77")
    alter("DELETE FROM notes.note LIMIT 1")
    try:
        with Writer(door.port):
            outcome = store.compare(Told())
        found = {one.where.partition(",")[0]: one.detail for one in outcome.differences}
        assert set(found) == {"openedx.grades", "notes.note"}
        assert "1 row(s) of other content (course, student, block = course 0, 77, " in found["openedx.grades"]
        assert "1 row(s) missing on the end that follows" in found["notes.note"]
    finally:
        alter("UPDATE openedx.grades SET weight = student / 3 WHERE student = 77")
        # The member's own copy of the row comes back from the source's.
        row = site.root("source").query("SELECT id, text FROM notes.note")
        kept = {one["id"] for one in store.cluster.server.query("SELECT id FROM notes.note")}
        lost = next(one for one in row if one["id"] not in kept)
        alter(f"INSERT INTO notes.note VALUES ('{lost['id']}', '{lost['text']}')")
    assert compared(store).equal


def test_a_client_that_goes_around_the_edge_is_named(site: Site, store: MysqlStore) -> None:
    # A server of the network is no edge: it comes from an address of its own.

    docker("exec", "--detach", site.container("three"), "mysql", "--host", site.source_address, "--user=openedx",
           "--password=app", "--execute=SELECT SLEEP(5)")  # fmt: skip
    ends = time.monotonic() + 5
    while not any(one.address == site.member("three").address for one in store.local.sessions()):
        assert time.monotonic() < ends
        time.sleep(0.05)
    with pytest.raises(StoreError, match=r"openedx from 172.* point them at"):
        store.ready()
    while any(one.address == site.member("three").address for one in store.local.sessions()):
        assert time.monotonic() < ends + 10
        time.sleep(0.1)


def test_it_flips_to_the_cluster(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    writes_survive(site, store, door, CLUSTER)
    status = store.status()
    assert (status["stage"], status["way_back"]) == ("cutover", True)


def test_a_restart_of_the_old_server_leaves_it_fenced_and_following(
    site: Site, store: MysqlStore, door: RelayDoor
) -> None:

    docker("restart", site.container("source"))
    await_true(store.local.closed, "the old server")
    with Writer(door.port) as writer:
        time.sleep(1)
    assert writer.failed == []
    assert not store.follow(Told())["changed"]
    store.local.reach(store.cluster.position(), 20)


def test_both_ends_are_compared_in_the_other_direction(store: MysqlStore, door: RelayDoor) -> None:
    with Writer(door.port):
        assert store.compare(Told()).differences == []


def test_the_primary_is_killed_and_the_way_back_holds(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    first = store.cluster.primary()
    with Writer(door.port) as writer:
        time.sleep(0.5)
        site.kill(first.name)

        await_true(lambda: store.cluster.primary() != first, "another primary")
        time.sleep(2)
        print(f"\nfailover: longest write {writer.longest:.1f} s, {len(writer.failed)} failed")
    assert writer.audit(store.cluster.dial(10)) == ([], [])
    store.local.reach(store.cluster.position(), 30)
    assert writer.audit(store.local.dial(10)) == ([], [])
    await_true(lambda: all(one.state == "ONLINE" for one in store.cluster.states()), "the killed member")


def test_it_rolls_back_with_every_later_write(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    writes_survive(site, store, door, LOCAL)
    assert store.status()["stage"] == "following"


def test_the_primary_is_killed_while_the_cluster_follows(site: Site, store: MysqlStore, door: RelayDoor) -> None:

    first = store.cluster.primary()
    with Writer(door.port) as writer:
        site.kill(first.name)
        await_true(lambda: store.cluster.primary() != first, "another primary")
        time.sleep(1)
    assert writer.failed == []
    assert store.cluster.closed()
    store.cluster.reach(store.local.position(), 30)
    assert writer.audit(store.cluster.dial(10)) == ([], [])
    await_true(lambda: all(one.state == "ONLINE" for one in store.cluster.states()), "the killed member")


def test_it_flips_again_and_commits(site: Site, store: MysqlStore, door: RelayDoor) -> None:
    store.follow(Told())
    assert compared(store).equal
    writes_survive(site, store, door, CLUSTER)
    store.commit()
    assert store.status()["stage"] == "committed"
    assert store.local.closed()
    with pytest.raises(StoreError, match="no way back"):
        store.ready()
