# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver as the runner sees it: where the store stands, when it may move, how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_config import (
    at_rest,
    differing,
    first_config,
    hosts,
    without_members,
)
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_node import look
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_status import stands
from ansible_collections.tutorops.scale.plugins.module_utils.stores import mongodb as driver
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError
from ansible_collections.tutorops.scale.plugins.module_utils.stores.mongodb import MongodbStore
from mongodb_site import given_settings, settings
from mongodb_world import LIMITS, LOCAL_HOST, MEMBERS, Moment, World

Open = Callable[..., MongodbStore]


class Local:
    """The container as a member of the world's set."""

    def __init__(self, world: World) -> None:
        self.world = world

    def state(self) -> Any:
        return look(LOCAL_HOST, self.world.connect(LOCAL_HOST))

    def client(self) -> Any:
        return self.world.connect(LOCAL_HOST)

    def networks(self) -> list[str]:
        return ["172.18.0.0/16"]

    def address(self) -> str:
        return "172.18.0.5"


@pytest.fixture
def open_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    def opened(world: World, **limits: float) -> MongodbStore:
        monkeypatch.setattr(driver, "LocalNode", lambda *given: Local(world))
        monkeypatch.setattr(driver, "open_set", lambda *given: world.members())
        return MongodbStore(settings(tmp_path, **limits), world.door, pause=world.door.pause)  # type: ignore[arg-type]

    return opened


def compared(folder: Path, equal: bool = True, hours: float = 0.0) -> None:
    at = datetime.now(timezone.utc) - timedelta(hours=hours)
    (folder / "state").mkdir(exist_ok=True)
    (folder / "state" / "compare.json").write_text(json.dumps({"equal": equal, "at": at.isoformat()}))


@pytest.fixture(autouse=True)
def no_strangers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(driver, "strangers", lambda client: found)
    return found


def test_stages_are_read_from_the_set(open_store: Open) -> None:
    world = World()
    store = open_store(world)
    status = store.status()
    assert (status["stage"], status["prepared"], status["trouble"], status["way_back"]) == (
        "following", True, [], False)  # fmt: skip
    assert status["lag"] == 0.0 and [one["name"] for one in status["members"]] == ["local", "data1", "data2", "data3"]
    world.config = {**first_config("tutorops", [LOCAL_HOST]), "term": 1}
    assert store.status()["stage"] == "attached"


def test_a_container_that_is_alone_is_not_prepared(open_store: Open) -> None:
    world = World()
    world.config = {**first_config("tutorops", [MEMBERS[0]]), "term": 1}
    world.primary = MEMBERS[0]
    assert not open_store(world).status()["prepared"]


def test_after_a_move_there_is_a_way_back_until_the_commit(open_store: Open) -> None:
    world = World()
    store = open_store(world)
    assert store.move("cluster", LIMITS, lambda step: None).serving == "cluster"
    assert (store.status()["stage"], store.status()["way_back"]) == ("cutover", True)
    assert not store.follow(lambda phase, figures: None)["changed"]
    assert store.prepare(lambda phase, figures: None) == {"changed": False, "stall_seconds": 0.0}
    assert [one.id for one in store.plan()] == ["mongodb.moved"]
    for refused in (store.detach, lambda: store.restore(lambda phase, figures: None)):
        with pytest.raises(StoreError, match="roll it back before you detach it"):
            refused()
    store.commit()
    store.commit()
    assert LOCAL_HOST not in hosts(world.config)
    assert (store.status()["stage"], store.status()["way_back"]) == ("committed", False)
    assert store.status()["next"].startswith("nothing")
    with pytest.raises(StoreError, match="no way back"):
        store.ready()


def test_seats_that_somebody_changed_are_trouble_and_put_right(open_store: Open) -> None:
    world = World(serving="cluster")
    store = open_store(world)
    world.config["members"][0].update(votes=1, priority=1, hidden=False)
    assert store.status()["trouble"] == [f"votes and priorities are not as they have to be: {LOCAL_HOST}"]
    assert store.follow(lambda phase, figures: None)["changed"]
    assert differing(world.config, at_rest(world.config, "cluster", LOCAL_HOST)) == []


def test_a_member_that_is_silent_is_named(open_store: Open) -> None:
    world = World()
    world.nodes[MEMBERS[1]].up_at = 1e9
    told = {one["name"]: one for one in open_store(world).status()["members"]}
    assert told["data2"]["state"] == "UNREACHABLE" and "does not answer" in told["data2"]["error"]


def test_a_set_that_is_silent_altogether_is_trouble(open_store: Open) -> None:
    world = World()
    for node in world.nodes.values():
        node.up_at = 1e9
    status = open_store(world).status()
    assert status["stage"] == "attached" and "no member of the set takes writes" in status["trouble"][0]


def test_a_move_wants_a_fresh_comparison(open_store: Open, tmp_path: Path) -> None:
    store = open_store(World())
    for equal, hours, said in ((None, 0, "run the stage compare first"), (False, 0, "run the stage compare first"),
                               (True, 30, "30 h old")):  # fmt: skip
        if equal is not None:
            compared(tmp_path, equal, hours)
        with pytest.raises(StoreError, match=said):
            store.ready()
    compared(tmp_path)
    store.ready()


def test_a_move_wants_all_members(open_store: Open, tmp_path: Path) -> None:
    compared(tmp_path)
    world = World()
    world.nodes[MEMBERS[2]].state = "RECOVERING"
    store = open_store(world)
    with pytest.raises(StoreError, match=rf"do not replicate: {MEMBERS[2]} \(RECOVERING\)"):
        store.ready()
    assert [(one.id, one.blocks) for one in store.plan()] == [("mongodb.ready", True)]


def test_a_move_wants_members_that_have_caught_up(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared(tmp_path)
    world = World()
    world.wait(100)
    status: Any = world._status

    def behind(host: str) -> dict[str, Any]:
        found: dict[str, Any] = status(host)
        if host == MEMBERS[0]:
            found["optimes"] = {"appliedOpTime": {"ts": Moment(60)}, "lastCommittedOpTime": {"ts": Moment(60)}}
        return found

    monkeypatch.setattr(world, "_status", behind)
    with pytest.raises(StoreError, match=rf"member {MEMBERS[0]} is \d+ s behind"):
        open_store(world).ready()


def test_a_move_wants_clients_that_log_in(open_store: Open, tmp_path: Path, no_strangers: list[str]) -> None:
    compared(tmp_path)
    no_strangers.append("PyMongo 4.4.0 from 172.18.0.7 (1)")
    store = open_store(World())
    with pytest.raises(StoreError, match="without logging in: PyMongo.*MONGODB_USERNAME"):
        store.ready()
    open_store(World(), strangers=1).ready()


def test_a_move_wants_a_way_to_hold_packets(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        raise StoreError("nft is not installed")

    world = World()
    monkeypatch.setattr(world.door.pause, "check", check, raising=False)
    with pytest.raises(StoreError, match="nft is not installed"):
        open_store(world).ready()


def test_detaching_takes_the_cluster_out_also_when_it_is_gone(open_store: Open) -> None:
    world = World()
    for host in MEMBERS:
        world.nodes[host].up_at = 1e9
    store = open_store(world)
    assert store.detach() and hosts(world.config) == [LOCAL_HOST]
    assert not store.detach()


def test_two_members_are_too_few(open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared(tmp_path)
    world = World()
    world.config = {**without_members(world.config, [MEMBERS[2]]), "term": 1}
    given = given_settings(tmp_path)
    del given["cluster"]["members"][2]
    monkeypatch.setattr(driver, "LocalNode", lambda *one: Local(world))
    monkeypatch.setattr(driver, "open_set", lambda *one: world.members())
    store = MongodbStore(driver.MongodbSettings.from_dict(given), world.door, pause=world.door.pause)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"has 2 member\(s\)"):
        store.ready()


def test_status_needs_no_driver(tmp_path: Path) -> None:
    world = World()
    told = stands(settings(tmp_path), "local", Local(world), world.members())  # type: ignore[arg-type]
    assert told["set"] == "tutorops"
