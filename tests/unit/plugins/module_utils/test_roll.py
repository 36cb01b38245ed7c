# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rolling restart in a world of its own (roll_world.py): come what may, no request fails and no task is cut."""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.netns import NetworkError
from ansible_collections.tutorops.scale.plugins.module_utils.roll import (
    Limits,
    Report,
    RollError,
    as_read,
    roll,
    stale,
)
from roll_world import Crash, World

LIMITS = Limits(ready=60.0, drain=120.0, tasks=100.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def platform(world: World) -> World:
    world.workers.add("lms-worker")
    for service in ("caddy", "mysql", "lms", "cms", "lms-worker"):
        world.plain.update({"mysql"} if service == "mysql" else set())
        world.add(service)
    world.failures.clear()
    return world


def run(world: World, *services: str, **options: Any) -> Report:
    return roll(world, services, limits=options.pop("limits", LIMITS), tools=world.tools(), **options)


def same_settings(world: World, *services: str) -> bool:
    content = world.file.read_text(encoding="utf-8")
    return all(world.only(service).settings == content for service in services)


def test_every_process_reads_the_new_settings_and_no_request_fails(world: World) -> None:
    platform(world)
    world.render("edge")
    assert stale(world, tools=world.tools()) == ["cms", "lms", "lms-worker"]
    report = run(world)
    assert report.rolled == ["lms", "cms", "lms-worker"] and report.cut == 0
    assert world.failures == []
    assert same_settings(world, "lms", "cms", "lms-worker")
    assert [world.only(name).name for name in ("lms", "cms", "lms-worker")] == [
        "tutor_local-lms-1",
        "tutor_local-cms-1",
        "tutor_local-lms-worker-1",
    ]
    assert world.only("mysql").id == "id102" and world.only("caddy").id == "id101"
    assert stale(world, tools=world.tools()) == []


def test_the_second_run_touches_nothing(world: World) -> None:
    platform(world)
    world.render("edge")
    run(world)
    before = [box.id for box in world.boxes]
    world.render("edge")
    assert run(world).rolled == [] and [box.id for box in world.boxes] == before


def test_a_changed_definition_is_rolled_too(world: World) -> None:
    platform(world)
    stale(world, tools=world.tools())
    world.definitions["cms"] = "d2"
    assert run(world).rolled == ["cms"]
    assert world.only("cms").definition == "d2" and world.failures == []


def test_force_rolls_what_is_right_already(world: World) -> None:
    platform(world)
    before = world.only("lms").id
    assert run(world, "lms", force=True).rolled == ["lms"]
    assert world.only("lms").id != before and world.failures == []


def test_a_container_that_answers_with_errors_at_first_gets_no_request(world: World) -> None:
    platform(world)
    world.render("edge")
    world.next = {"sick": 20.0}
    run(world, "lms")
    assert world.failures == [] and same_settings(world, "lms")


def test_a_container_that_dies_once_is_kept_behind_its_gate(world: World) -> None:
    platform(world)
    world.render("edge")
    world.next = {"dies_once": True, "sick": 5.0}
    run(world, "lms")
    assert world.failures == [] and same_settings(world, "lms")


def test_a_container_that_never_comes_up_is_removed_and_the_old_one_serves(world: World) -> None:
    platform(world)
    old = world.only("lms")
    world.render("broken")
    world.next = {"boots": math.inf}
    with pytest.raises(RollError, match=r"not ready within 60 s \(port 8000 is not open\) and was removed"):
        run(world)
    assert world.only("lms") is old and old.gate_until <= world.now and world.failures == []
    assert world.only("cms").settings == "found", "services after the failing one are left alone"
    world.next = {}
    world.render("mended")
    assert run(world).rolled == ["lms", "cms", "lms-worker"] and world.failures == []


def test_requests_under_way_end_where_they_began(world: World) -> None:
    platform(world)
    world.render("edge")
    old = world.only("lms")
    old.requests.append(world.now + 80)
    assert run(world, "lms").cut == 0
    assert world.now > 80 and world.failures == []


def test_connections_that_caddy_keeps_are_let_go(world: World) -> None:
    platform(world)
    world.render("edge")
    world.only("lms").kept = True
    run(world, "lms")
    assert world.caddy_told == 1 and world.failures == [] and same_settings(world, "lms")


def test_what_is_cut_when_the_time_to_drain_is_over_is_counted(world: World) -> None:
    platform(world)
    world.render("edge")
    world.only("lms").requests.append(world.now + 10_000)
    assert run(world, "lms").cut == 1
    (failure,) = world.failures
    assert failure.endswith("tutor_local-lms-1 was stopped with requests under way")


def test_a_worker_consumes_before_its_predecessor_is_asked_once_to_finish(world: World) -> None:
    platform(world)
    world.render("edge")
    old = world.only("lms-worker")
    old.tasks_until = world.now + 50
    run(world, "lms-worker")
    ready = next(at for at, text in enumerate(world.log) if text.startswith("docker logs"))
    asked = world.log.index(f"docker kill --signal TERM {old.id}")
    assert ready < asked and old.asked_to_end == 1
    assert world.failures == [] and same_settings(world, "lms-worker")


def test_a_worker_with_long_tasks_is_waited_for_again_by_the_next_run(world: World) -> None:
    platform(world)
    world.render("edge")
    old = world.only("lms-worker")
    old.tasks_until = world.now + 250
    for _attempt in range(2):
        with pytest.raises(RollError, match="still works on tasks after 100 s; it takes no new ones"):
            run(world, "lms-worker")
        assert len(world.of("lms-worker")) == 2
    assert run(world, "lms-worker").rolled == ["lms-worker"]
    assert old.asked_to_end == 1 and world.failures == [] and same_settings(world, "lms-worker")


def test_each_of_several_replicas_is_rolled_and_their_number_stays(world: World) -> None:
    platform(world)
    world.add("lms")
    world.add("cms")
    world.render("edge")
    run(world, "lms")
    assert [box.settings for box in world.of("lms")] == ["edge", "edge"] and world.failures == []
    assert len(world.of("cms")) == 2, "compose would set others that were scaled back to one"
    assert any("--scale cms=2 --scale lms=3" in " ".join(text.split()) for text in world.log)


@pytest.mark.parametrize("service", ["lms", "lms-worker"])
def test_after_a_crash_at_any_moment_the_next_run_finishes(tmp_path: Path, service: str) -> None:
    crashed = 0
    for moment in range(1, 200):
        world = platform(World(tmp_path / str(moment)))
        world.task_seconds = 5.0
        world.only("lms-worker").tasks_until = world.now + 5
        world.render("edge")
        world.calls, world.crash_at = 0, moment
        try:
            run(world, service)
        except Crash:
            crashed += 1
        else:
            break
        world.advance(30.0)
        assert service in stale(world, tools=world.tools()) or same_settings(world, service)
        run(world, service)
        assert world.failures == [], f"crashed at call {moment}, {world.log[moment - 1]}"
        assert same_settings(world, service) and world.only(service).name == f"tutor_local-{service}-1"
        assert stale(world, [service], world.tools()) == []
    assert crashed > 10


def test_a_leftover_that_never_came_up_does_not_take_the_place_of_the_one_that_serves(world: World) -> None:
    platform(world)
    world.render("broken")
    world.next, world.calls = {"boots": math.inf}, 0
    repair = crash_after(world, "dc up")
    with pytest.raises(Crash):
        run(world, "lms")
    repair()
    assert len(world.of("lms")) == 2
    world.advance(30.0)
    world.next = {"sick": 5.0}
    world.render("mended")
    run(world, "lms")
    assert world.failures == [] and same_settings(world, "lms")


def crash_after(world: World, begun: str) -> Callable[[], None]:
    """Crash at the call that follows the first one that begins so; gives what ends that."""
    original = world._call

    def call(text: str) -> None:
        if any(one.startswith(begun) for one in world.log):
            raise Crash(text)
        original(text)

    world._call = call  # type: ignore[method-assign]

    def undo() -> None:
        world._call = original  # type: ignore[method-assign]

    return undo


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"published": True}, "publishes a port of this host"),
        ({"name": "my-lms"}, "fixed container name my-lms"),
    ],
)
def test_what_can_run_only_once_is_refused_before_anything_starts(
    world: World, change: dict[str, Any], reason: str
) -> None:
    platform(world)
    for name, value in change.items():
        setattr(world.only("lms"), name, value)
    world.render("edge")
    with pytest.raises(RollError, match=reason):
        run(world)
    assert not any(text.startswith("dc up") for text in world.log)


def test_stores_and_strangers_are_named(world: World) -> None:
    platform(world)
    with pytest.raises(RollError, match="mysql cannot be rolled"):
        run(world, "mysql")
    with pytest.raises(RollError, match="notes does not run at"):
        run(world, "notes")


def test_a_definition_that_changes_meanwhile_is_not_let_in(world: World) -> None:
    platform(world)
    world.render("edge")
    world.made_as["lms"] = "another"
    with pytest.raises(RollError, match="from another definition than"):
        run(world, "lms")
    assert world.only("lms").settings == "found" and world.failures == []


def test_two_rolls_at_a_time_are_refused(world: World) -> None:
    platform(world)
    world.paths.run.mkdir(parents=True)
    handle = os.open(world.paths.run / "roll.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(RollError, match="Another rolling restart is under way"):
        run(world)
    os.close(handle)


def test_what_the_network_says_is_a_sentence(world: World) -> None:
    platform(world)
    tools = world.tools()

    def check() -> None:
        raise NetworkError("nft is not installed on the app server: install the package nftables")

    tools.gate.check = check  # type: ignore[method-assign]
    with pytest.raises(RollError, match=r"^The platform cannot be rolled: nft is not installed .* nftables\.$"):
        roll(world, limits=LIMITS, tools=tools)


def test_other_words_for_the_same_make_nobody_stale(world: World) -> None:
    platform(world)
    world.render("edge")
    run(world)
    with as_read(world, world.tools()):
        world.render("edge in other words")
    assert stale(world, tools=world.tools()) == []
    world.render("something else")
    assert stale(world, tools=world.tools()) == ["cms", "lms", "lms-worker"]


def test_other_words_do_not_hide_a_change_from_before(world: World) -> None:
    platform(world)
    stale(world, tools=world.tools())
    world.render("edge")
    with as_read(world, world.tools()):
        world.render("edge in other words")
    assert stale(world, tools=world.tools()) == ["cms", "lms", "lms-worker"]
