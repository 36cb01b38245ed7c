# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the cluster comes to follow the container, on the set of the move's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_config import (
    at_rest,
    differing,
    first_config,
    hosts,
    seats,
    with_member,
)
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_follow import Follow
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_node import look
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Unreachable
from mongodb_site import settings
from mongodb_world import CRASH_AFTER, LOCAL_HOST, MEMBERS, Crash, World


class Local:
    def __init__(self, world: World) -> None:
        self.world = world

    def state(self) -> Any:
        return look(LOCAL_HOST, self.world.connect(LOCAL_HOST))

    def client(self) -> Any:
        return Sizes()


class Sizes:
    def command(self, name: str, value: Any = 1, database: str = "admin", **options: Any) -> dict[str, Any]:
        if name == "listDatabases":
            return {"databases": [{"name": one} for one in ("admin", "config", "local", "openedx")]}
        return {"dataSize": 1000 if database == "openedx" else 24}


@pytest.fixture
def world() -> World:
    made = World()
    made.config = {**first_config("tutorops", [LOCAL_HOST]), "term": 1}
    return made


def follow(world: World, folder: Path, told: list[tuple[str, dict[str, Any]]] | None = None, **limits: float) -> Any:
    def progress(phase: str, figures: dict[str, Any]) -> None:
        if told is not None:
            told.append((phase, figures))

    return Follow(
        settings(folder, **limits), Local(world), world.members(), progress, world.clock, world.wait).run()  # type: ignore[arg-type]  # fmt: skip


def test_members_join_one_after_the_other_and_stay_closed(world: World, tmp_path: Path) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    done = follow(world, tmp_path, told)
    assert done["changed"] and done["bytes"] == 1024 and done["members"] == ["data1", "data2", "data3"]
    assert hosts(world.config) == [LOCAL_HOST, *MEMBERS]
    assert differing(world.config, at_rest(world.config, "local", LOCAL_HOST)) == []
    copies = [figures for phase, figures in told if phase == "copy" and figures["bytes_done"]]
    assert {one["member"] for one in copies} == {"data1", "data2", "data3"}
    assert all(one["bytes_done"] <= one["bytes_total"] == 1024 for one in copies)


def test_a_second_run_changes_nothing(world: World, tmp_path: Path) -> None:
    follow(world, tmp_path)
    version = world.config["version"]
    assert not follow(world, tmp_path)["changed"]
    assert world.config["version"] == version


def test_a_death_at_any_call_is_continued(world: World, tmp_path: Path) -> None:
    reference = World()
    reference.config = {**first_config("tutorops", [LOCAL_HOST]), "term": 1}
    follow(reference, tmp_path)
    for call in range(1, reference.calls + 1, 5):
        one = World(faults={call: CRASH_AFTER})
        one.config = {**first_config("tutorops", [LOCAL_HOST]), "term": 1}
        with pytest.raises(Crash):
            follow(one, tmp_path)
        one.faults = {}
        follow(one, tmp_path)
        assert list(seats(one.config)) == [LOCAL_HOST, *MEMBERS]


def test_a_member_that_holds_something_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status: Any = world.command

    def command(host: str, name: str, value: Any, options: dict[str, Any]) -> dict[str, Any]:
        if host == MEMBERS[1] and name == "replSetGetStatus":
            return {"set": "old", "members": [{"self": True, "stateStr": "PRIMARY"}]}
        found: dict[str, Any] = status(host, name, value, options)
        return found

    monkeypatch.setattr(world, "command", command)
    with pytest.raises(StoreError, match="member data2 is not empty, it is PRIMARY of the set old"):
        follow(world, tmp_path)
    assert hosts(world.config) == [LOCAL_HOST]


def test_a_member_that_is_silent_is_refused_before_anybody_joins(world: World, tmp_path: Path) -> None:
    world.nodes[MEMBERS[2]].up_at = 1e9
    with pytest.raises(Unreachable, match="member data3 cannot be asked"):
        follow(world, tmp_path)
    assert hosts(world.config) == [LOCAL_HOST]


def test_members_that_nobody_named_are_refused(world: World, tmp_path: Path) -> None:
    world.config = {**with_member(world.config, "10.0.0.99:27017"), "term": 1}
    world.nodes["10.0.0.99:27017"] = world.nodes[MEMBERS[0]]
    with pytest.raises(StoreError, match="members that nobody named: 10.0.0.99:27017"):
        follow(world, tmp_path)


def test_a_container_that_was_not_prepared_is_refused(world: World, tmp_path: Path) -> None:
    world.config = {**first_config("tutorops", [MEMBERS[0]]), "term": 1}
    with pytest.raises(StoreError, match="UNINITIATED, not a member of the set tutorops: run offload.yml"):
        follow(world, tmp_path)


def test_a_copy_that_does_not_go_on_is_told(world: World, tmp_path: Path) -> None:
    def copies_for_ever(host: str, name: str, value: Any, options: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = World.command(world, host, name, value, options)
        world.nodes[MEMBERS[0]].copied_at = 1e9
        return found

    world.command = copies_for_ever  # type: ignore[method-assign]
    with pytest.raises(StoreError, match=rf"data1 has shown no progress.*it has to reach {LOCAL_HOST}"):
        follow(world, tmp_path, patience_seconds=20.0)
