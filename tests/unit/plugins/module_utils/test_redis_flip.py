# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promises of a flip, kept by Redis's own ends, whatever goes wrong at whichever command."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import redis_members
from ansible_collections.tutorops.scale.plugins.module_utils.cutover import (
    FlipUnfinished,
    Limits,
    NoWayBack,
    flip,
    settle,
)
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import CLUSTER, LOCAL, StoreError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_world import EDGE, FAULTS, RESTART, Crash, Inline, TwoEndsWritable, World, tend

LIMITS = Limits(idle_seconds=0.0, drain_seconds=1.0)

faults = st.dictionaries(st.integers(1, 120), st.sampled_from(FAULTS), max_size=4)
runs = st.lists(st.tuples(st.sampled_from(["flip", "settle", "tend"]), faults), min_size=1, max_size=4)


@pytest.fixture(autouse=True)
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_members, "ThreadPoolExecutor", Inline)


def run_flip(world: World) -> str:
    ends = world.ends()
    leaving, taking = ends if world.pointer == LOCAL else ends[::-1]
    guard = lambda seconds, action: lambda: None  # noqa: E731 - nothing hangs in this world
    return flip(leaving, taking, world.door, LIMITS, world.clock, world.wait, guard=guard).serving


def run_settle(world: World) -> str:
    guard = lambda seconds, action: lambda: None  # noqa: E731 - nothing hangs in this world
    return settle(*world.ends(), world.door, LIMITS, world.clock, world.wait, guard)


def at_rest(world: World) -> None:
    """One end serves, the other one is closed and follows it, and no acknowledged write is lost."""
    told = "\n".join(world.log[-80:])
    assert not world.held and world.route == world.pointer, told
    for _ in range(10):
        world.tick()
    primaries = [one for one in world.members.values() if one.writable]
    if world.pointer == LOCAL:
        assert world.container.writable and not primaries, told
        assert not any(world.watched.values()), told
        assert [one.follows for one in world.members.values()].count((EDGE, 16379)) == 1, told
        serving = world.container
    else:
        assert len(primaries) == 1 and not world.container.writable, told
        assert set(world.watched.values()) == {primaries[0].name and (world.watched["one"])}, told
        assert world.container.follows == (EDGE, 16380), told
        serving = primaries[0]
    assert set(world.acknowledged) <= set(serving.data), told
    # What a restart of everything would make of it: the container is closed, and only the one that serves writes.
    for one in world.members.values():
        assert one.kept[1] == (99 if world.pointer == LOCAL else 1), told


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(runs=runs)
def test_whatever_goes_wrong(tmp_path: Path, runs: list[tuple[str, dict[int, str]]]) -> None:
    """Never two writable ends (the world looks at every tick), and in the end nothing acknowledged is lost."""
    world = World(tmp_path)
    crashed = False
    for operation, wrong in runs:
        world.faults, world.commands = dict(wrong), 0
        try:
            if crashed or operation == "settle":
                run_settle(world)
                crashed = False
            elif operation == "flip":
                run_flip(world)
            else:
                world.restart()
                tend(world)
        except Crash:
            world.held = False
            crashed = True
        except (FlipUnfinished, NoWayBack):
            crashed = True
        except StoreError:
            pass
    world.faults = {}
    if not crashed:
        # Between stages the follower looks after the container.
        tend(world)
    assert run_settle(world) == world.pointer
    at_rest(world)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
def test_each_fault_at_many_commands(tmp_path: Path, fault: str, back: bool) -> None:
    """One fault, at every fourth command of a flip; where that begins differs from fault to fault."""
    clean = World(tmp_path)
    if back:
        run_flip(clean)
        clean.commands = 0
    run_flip(clean)
    assert clean.commands > 40
    for number in range(1 + FAULTS.index(fault) % 4, clean.commands + 1, 4):
        world = World(tmp_path)
        if back:
            run_flip(world)
        world.commands, world.faults = 0, {number: fault}
        try:
            run_flip(world)
        except Crash:
            world.held = False
        except StoreError:
            pass
        run_settle(world)
        at_rest(world)


def test_a_flip_and_back_keep_every_write(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert run_flip(world) == CLUSTER
    at_rest(world)
    written = len(world.acknowledged)
    assert written > 20
    assert run_flip(world) == LOCAL
    assert len(world.acknowledged) > written
    at_rest(world)


def test_the_world_sees_a_container_that_boots_open(tmp_path: Path) -> None:
    """Without the line in the boot file a restart after the commit point makes a second writable end."""
    world = World(tmp_path)
    world.container.boot = lambda _: (None, 0)
    run_flip(world)
    with pytest.raises(TwoEndsWritable):
        world.restart()
        world.tick()


def test_the_world_sees_a_cluster_that_is_not_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.members["one"].follows = ("127.0.0.1", 1)
    with pytest.raises(StoreError):
        run_flip(world)
    assert world.pointer == LOCAL and world.container.writable


def test_a_container_that_restarts_in_a_flip_is_served_again(tmp_path: Path) -> None:
    world = World(tmp_path, {30: RESTART})
    try:
        run_flip(world)
    except StoreError:
        assert world.pointer == LOCAL
    run_settle(world)
    at_rest(world)
