# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver's whole journey on real servers, under writes: one test goes on where the one before ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pymongo
import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.cutover import Limits
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_tend import tender
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import CLUSTER, LOCAL, StoreError
from ansible_collections.tutorops.scale.plugins.module_utils.stores.mongodb import MongodbStore
from opened import as_found, attached, member, open_store
from platform_double import Door, Writer
from servers import AS_FOUND, AS_MEMBER, KEYFILE, MEMBERS, Site, await_true, docker

LIMITS = Limits()


class Told:
    """Remembers what a stage tells."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, phase: str, figures: dict[str, Any]) -> None:
        self.all.append((phase, figures))

    def of(self, phase: str) -> list[dict[str, Any]]:
        return [figures for one, figures in self.all if one == phase]


@pytest.fixture(scope="module")
def door() -> Door:
    return Door()


@pytest.fixture(scope="module")
def store(site: Site, door: Door) -> Iterator[MongodbStore]:
    yield open_store(site, door)


def test_nothing_is_restarted_before_it_is_rendered(site: Site, store: MongodbStore) -> None:
    site.rendered = AS_FOUND
    with pytest.raises(StoreError, match="not rendered MongoDB as a member"):
        store.prepare(Told())
    site.rendered = (*AS_MEMBER, "--noSuchOption")
    with pytest.raises(StoreError, match="noSuchOption"):
        store.prepare(Told())
    site.rendered = AS_MEMBER
    assert site.recreations == 0 and not store.status()["prepared"]


def test_a_container_that_does_not_come_up_is_given_back(site: Site, store: MongodbStore, door: Door) -> None:
    site.rendered = (*AS_MEMBER, "--tlsCRLFile", "/data/db/none")
    with (
        Writer("back", as_found(site), store.door, web=True) as writer,
        pytest.raises(StoreError, match="runs as before"),
    ):
        open_store(site, door, restart_seconds=4.0).prepare(Told())
    site.rendered = AS_MEMBER
    print(f"\ngiven back: longest write {writer.longest:.1f} s")
    assert writer.failed == [] and writer.lost(as_found(site)) == []


def test_the_held_restart_loses_no_request(site: Site, store: MongodbStore, door: Door) -> None:
    before = site.recreations
    with Writer("restart", as_found(site), store.door, web=True) as writer:
        time.sleep(1)
        done = store.prepare(Told())
        time.sleep(1)
    print(f"\nprepare: {done}, longest write {writer.longest:.2f} s, {len(writer.acknowledged)} acknowledged")
    assert done["changed"] and 0 < float(str(done["stall_seconds"])) < 8
    assert writer.failed == [] and writer.lost(as_found(site)) == []
    assert site.recreations == before + 1
    assert not store.prepare(Told())["changed"] and site.recreations == before + 1
    status = store.status()
    assert (status["stage"], status["prepared"]) == ("attached", True)
    with Writer("attached", attached(site), store.door) as writer:
        await_true(lambda: len(writer.acknowledged) > 10, "writes with the account", 20)
    assert writer.failed == []


def test_a_container_that_nobody_began_is_begun_by_the_follower(site: Site, store: MongodbStore, door: Door) -> None:
    """As after a kill between the restart and the beginning of the set."""
    paths = Paths(var=site.folder / "var", run=site.folder / "run")
    paths.pointer("mongodb").parent.mkdir(parents=True)
    paths.pointer("mongodb").write_text("mongodb local\n")
    rendered = site.folder / "tutor" / "env" / "local" / "docker-compose.prod.yml"
    rendered.parent.mkdir(parents=True)
    rendered.write_text("command: mongod --keyFile /data/db/tutorops.keyfile")
    docker("stop", site.container("source"))
    docker("rm", site.container("source"))
    site.start_source(AS_FOUND)
    plain = site.plain("source")
    for name in ("openedx", "tutorops_admin"):
        plain.command("dropUser", name)
    plain.drop_database("local")
    site.recreate()
    await_true(lambda: site.plain("source").command("ping"), "the container")
    for name in ("tutorops.keyfile",):
        assert (store.settings.data / name).stat().st_mode & 0o777 == 0o400
    tend = tender(store.settings, store.local, store.set, paths)
    tend("", 0)
    assert store.local.state().primary and store.local.has_accounts()
    tend("", 0)
    assert not store.prepare(Told())["changed"]


def test_it_follows_under_writes(site: Site, store: MongodbStore, door: Door) -> None:
    told = Told()
    with (
        Writer("follow", attached(site), store.door) as worker,
        Writer("web", attached(site), store.door, web=True) as web,
    ):
        done = store.follow(told)
    print(f"\nfollow: {done}, longest write {worker.longest:.2f} s")
    assert done["changed"] and done["members"] == list(MEMBERS) and done["bytes"] > 4_000_000
    assert worker.failed == web.failed == [] and door.requests.holds < 5
    assert told.of("copy") and told.of("copy")[-1]["bytes_total"] > 0
    status = store.status()
    assert (status["stage"], status["trouble"]) == ("following", [])
    config = store.set.config()
    assert [one["votes"] for one in config["members"]] == [1, 0, 0, 0]
    for name in MEMBERS:
        await_true(lambda name=name: worker.lost(member(site, name)) == [], f"everything on {name}", 10)


def test_following_again_changes_nothing(store: MongodbStore) -> None:
    assert not store.follow(Told())["changed"]


def test_losing_the_cluster_costs_the_platform_nothing(site: Site, store: MongodbStore) -> None:
    with Writer("alone", attached(site), store.door) as worker:
        for name in MEMBERS[:2]:
            docker("stop", "--time", "1", site.container(name))
        time.sleep(8)
        for name in MEMBERS[:2]:
            docker("start", site.container(name))
    assert worker.failed == [] and worker.longest < 3
    with pytest.raises(StoreError, match="do not replicate|behind: wait"):
        store.ready()
    hosts = [one.host for one in store.settings.members]
    await_true(lambda: max(store.set.lags(hosts).values()) < 2, "members that have caught up")


def test_it_is_not_ready_before_a_comparison(store: MongodbStore) -> None:
    with pytest.raises(StoreError, match="run the stage compare first"):
        store.ready()


def compared(store: MongodbStore) -> Any:
    outcome = store.compare(Told())
    (store.settings.state / "compare.json").write_text(
        json.dumps({**outcome.as_dict(), "at": datetime.now(timezone.utc).isoformat()})
    )
    return outcome


def test_equal_ends_are_found_equal_under_writes(site: Site, store: MongodbStore) -> None:
    with Writer("compare", attached(site), store.door) as worker:
        outcome = compared(store)
    print(f"\ncompare: {outcome.items} collections, {outcome.rows} documents, {outcome.bytes} bytes, "
          f"{outcome.seconds} s, longest write {worker.longest:.2f} s")  # fmt: skip
    assert outcome.differences == []
    assert outcome.items == 8 and outcome.rows > 3000 and outcome.bytes > 4_000_000
    assert worker.failed == []


def test_a_past_that_is_gone_moves_the_comparison_on(site: Site, store: MongodbStore) -> None:
    clients = [site.plain("source"), site.inside("one")]
    for client in clients:
        client.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=0)
    try:
        with Writer("history", attached(site), store.door, seconds=0.001) as worker:
            small = open_store(site, store.door, batch=20)
            outcome = small.compare(Told())
        assert outcome.differences == [] and outcome.rows > 3000
        assert worker.failed == []
    finally:
        for client in clients:
            client.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=300)


def test_what_differs_is_named(site: Site, store: MongodbStore) -> None:
    """Changed behind the set's back: on a member that runs alone for a moment."""
    name, port = MEMBERS[0], 27017
    mounts = json.loads(docker("inspect", "--format", "{{json .Mounts}}", site.container(name)))
    volume = next(one["Name"] for one in mounts if one["Destination"] == "/data/db")

    def alter(change: Any) -> None:
        docker("stop", site.container(name))
        docker("run", "--detach", "--name", site.container("alone"), f"--network={site.container('net')}",
               f"--ip={site.address(name)}", "--user=999:999", f"--volume={volume}:/data/db",
               "tutorops-lab/mongodb", "mongod")  # fmt: skip
        try:
            await_true(lambda: site.plain(name).command("ping"), "the member alone")
            with pymongo.MongoClient(site.address(name), port, directConnection=True) as client:
                change(client["openedx"])
            docker("stop", site.container("alone"))
        finally:
            docker("rm", "--force", site.container("alone"))
            docker("start", site.container(name))
        await_true(lambda: store.set.look_at(store.settings.members[0].host).healthy, "the member")

    kept: dict[str, Any] = {}

    def spoil(database: Any) -> None:
        kept["chunk"] = database["fs.chunks"].find_one()
        database["fs.chunks"].update_one({"_id": kept["chunk"]["_id"]}, {"$set": {"data": b"other"}})
        kept["comment"] = database["modulestore.structures"].find_one({"number": 77})
        database["modulestore.structures"].delete_one({"number": 77})
        database["odd"].drop_indexes()
        database["odd"].create_index("b")

    def mend(database: Any) -> None:
        database["fs.chunks"].replace_one({"_id": kept["chunk"]["_id"]}, kept["chunk"])
        database["modulestore.structures"].insert_one(kept["comment"])
        database["odd"].drop_index("b_1")

    alter(spoil)
    try:
        found = {one.where: one.detail for one in store.compare(Told()).differences}
    finally:
        alter(mend)
    assert found["openedx.fs.chunks"] == f"the document {kept['chunk']['_id']!r} has other content"
    assert f"where one end has the document {kept['comment']['_id']!r}" in found["openedx.modulestore.structures"]
    assert found["openedx.odd"] == "its indexes differ"
    assert set(found) == {"openedx.fs.chunks", "openedx.modulestore.structures", "openedx.odd"}
    assert compared(store).equal


def test_a_client_without_an_account_is_named(site: Site, store: MongodbStore) -> None:
    with pymongo.MongoClient(**as_found(site)) as client:
        client["openedx"]["entries"].find_one()
        time.sleep(0.5)
        with pytest.raises(StoreError, match=r"without logging in: PyMongo\S* \S+ from 172.*MONGODB_USERNAME"):
            store.ready()
    with Writer("known", attached(site), store.door):
        await_true(lambda: store.ready() is None, "only clients with an account", 10)


def moved(site: Site, store: MongodbStore, door: Door, taking: str) -> None:
    steps: list[str] = []
    with Writer(f"worker-{time.time()}", attached(site), store.door) as worker:
        with Writer(f"web-{time.time()}", attached(site), store.door, web=True) as web:
            time.sleep(1)
            await_true(lambda: store.ready() is None, "readiness", 15)
            begun = time.monotonic()
            done = store.move(taking, LIMITS, steps.append)
            took = time.monotonic() - begun
            time.sleep(1)
    print(f"\nmove to {taking}: held {done.hold_seconds * 1000:.0f} ms of {took:.1f} s, {done.steps}, {done.problem}; "
          f"longest web {web.longest:.2f} s, worker {worker.longest:.2f} s; {len(web.acknowledged)} and "
          f"{len(worker.acknowledged)} acknowledged")  # fmt: skip
    assert done.serving == taking == door.serving and done.problem == ""
    assert web.failed == worker.failed == []
    for name in ("source", *MEMBERS):
        options = as_found(site) | {"directConnection": True} if name == "source" else member(site, name)
        for writer in (web, worker):
            await_true(lambda options=options, writer=writer: writer.lost(options) == [], f"everything on {name}", 10)
    assert steps[0] == "seats" and steps[-1] == "done"


def test_it_moves_to_the_cluster(site: Site, store: MongodbStore, door: Door) -> None:
    moved(site, store, door, CLUSTER)
    status = store.status()
    assert (status["stage"], status["way_back"], status["trouble"]) == ("cutover", True, [])
    assert not store.follow(Told())["changed"]


def test_both_ends_are_compared_in_the_other_direction(site: Site, store: MongodbStore) -> None:
    with Writer("reverse", attached(site), store.door):
        assert store.compare(Told()).differences == []


def test_a_restart_of_the_old_container_leaves_it_following(site: Site, store: MongodbStore) -> None:
    with Writer("restarted", attached(site), store.door) as worker:
        docker("restart", site.container("source"))
        await_true(lambda: store.local.state().state == "SECONDARY", "the old container")
    assert worker.failed == []


def test_the_primary_is_killed_and_the_way_back_holds(site: Site, store: MongodbStore) -> None:
    first = store.set.primary()
    name = next(one.name for one in store.settings.members if one.host == first)
    with Writer("killed", attached(site), store.door) as worker:
        time.sleep(0.5)
        site.kill(name)
        await_true(lambda: store.set.primary() not in (None, first), "another primary")
        time.sleep(2)
        print(f"\nfailover: longest write {worker.longest:.1f} s")
    assert worker.failed == [] and worker.longest < 10
    await_true(lambda: all(one.healthy for one in store.set.look()), "all members")
    for one in MEMBERS:
        await_true(lambda one=one: worker.lost(member(site, one)) == [], f"everything on {one}", 10)


def test_it_rolls_back_with_every_later_write(site: Site, store: MongodbStore, door: Door) -> None:
    moved(site, store, door, LOCAL)
    assert store.status()["stage"] == "following"


def test_it_moves_again_and_commits(site: Site, store: MongodbStore, door: Door) -> None:
    compared(store)
    moved(site, store, door, CLUSTER)
    with Writer("commit", attached(site) | {"host": site.address("one")}, store.door) as worker:
        store.commit()
        store.commit()
        docker("stop", site.container("source"))
        time.sleep(1)
    assert worker.failed == []
    assert store.status()["stage"] == "committed"
    with pytest.raises(StoreError, match="no way back"):
        store.ready()
    assert KEYFILE not in repr(store.settings)
