# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promises of the cutover, proven in a world where every call may go wrong in every way."""

from __future__ import annotations

import threading

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import cutover
from ansible_collections.tutorops.scale.plugins.module_utils.cutover import (
    Busy,
    Flip,
    FlipFailed,
    FlipUnfinished,
    Limits,
    flip,
    settle,
)
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError
from cutover_world import CRASH_AFTER, FAULTS, HANG, POWER_AFTER, RAISE, RAISE_AFTER, Crash, TwoEndsWritable, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LIMITS = Limits()
ERRORS = (StoreError, RuntimeError)
#: Steps of virtual time that a call takes add to a bound.
SLACK = 0.1

faults = st.dictionaries(st.integers(1, 40), st.sampled_from(FAULTS), max_size=6)
runs = st.lists(st.tuples(st.sampled_from(["flip", "settle"]), faults), min_size=1, max_size=5)


def run_flip(world: World) -> Flip:
    """Flip from whichever end serves to the other one, as an operator would order it."""
    serving = world.door.visible
    leaving, taking = world.ends[serving], world.ends[cutover.other(serving)]
    return flip(leaving, taking, world.door, LIMITS, world.clock, world.wait, guard=world.guard)


def run_settle(world: World) -> str:
    return settle(world.local, world.cluster, world.door, LIMITS, world.clock, world.wait, world.guard)


def at_rest(world: World) -> None:
    """The one state that everything ends in."""
    serving = world.ends[world.door.visible]
    standby = world.ends[cutover.other(serving.name)]
    assert world.door.durable == serving.name
    assert world.door.route == serving.name, "\n".join(world.log)
    assert not world.door.held
    assert serving.writable and not standby.writable
    assert world.acknowledged <= serving.log, "\n".join(world.log)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    runs=runs,
    lag=st.sampled_from([0.0, 0.01, 0.5, 20.0]),
    long_work=st.sampled_from([0.0, 0.5, 3.0]),
    torn=st.booleans(),
)
def test_whatever_goes_wrong(runs: list[tuple[str, dict[int, str]]], lag: float, long_work: float, torn: bool) -> None:
    """Never two writable ends (the world checks at every tick), and in the end nothing acknowledged is lost."""
    world = World({}, lag=lag, long_work=long_work)
    crashed = False
    for operation, wrong in runs:
        world.faults = dict(wrong)
        world.calls = 0
        world.door.torn = torn and bool(wrong)
        world.longest_hold, world.release_faulted = 0.0, False
        try:
            if operation == "flip" and not crashed:
                run_flip(world)
            else:
                run_settle(world)
                crashed = False
        except Crash as crash:
            world.died(crash)
            crashed = True
            continue
        except FlipUnfinished:
            crashed = True
        except ERRORS:
            pass
        assert not [one for one in world.timers if one.live]
        if not world.release_faulted:
            assert not world.door.held
            # A hang of the door itself while a guard lets go is one more hang.
            assert world.longest_hold <= LIMITS.hold_seconds + LIMITS.release_seconds + SLACK, "\n".join(world.log)
    world.faults = {}
    world.door.torn = False
    assert run_settle(world) == world.door.visible
    at_rest(world)
    standby = world.ends[cutover.other(world.door.visible)]
    assert standby.source is world.ends[world.door.visible]


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(wrong=st.dictionaries(st.integers(1, 40), st.sampled_from([*FAULTS[:6]]), max_size=4))
def test_a_failure_before_the_commit_point_changes_nothing(wrong: dict[int, str]) -> None:
    """Without a crash, one call of flip() ends at rest by itself, on the one end or the other."""
    world = World(wrong)
    try:
        done = run_flip(world)
    except FlipUnfinished:
        return
    except ERRORS:
        assert world.door.visible == "local"
    else:
        assert done.serving == world.door.visible == "cluster"
    if not world.release_faulted:
        at_rest(world)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
def test_each_fault_at_each_call(fault: str, back: bool) -> None:
    """The exhaustive part: one fault, at every single call of a flip."""
    clean = World({})
    if back:
        run_flip(clean)
        clean.calls = 0
    run_flip(clean)
    for number in range(1, clean.calls + 1):
        world = World({})
        if back:
            run_flip(world)
        world.calls, world.faults = 0, {number: fault}
        try:
            run_flip(world)
        except Crash as crash:
            world.died(crash)
        except ERRORS:
            pass
        else:
            at_rest(world)
        run_settle(world)
        at_rest(world)


def test_a_flip_and_back_keep_every_write() -> None:
    world = World({})
    there = run_flip(world)
    assert there.serving == "cluster" and world.local.source is world.cluster
    assert list(there.steps) == ["hold", "drain", "fence", "apply", "decide", "open", "way back"]
    assert 0 < there.hold_seconds < 0.1
    written = len(world.acknowledged)
    world.advance(1)
    assert len(world.acknowledged) > written
    assert run_flip(world).serving == "local" and world.cluster.source is world.local
    at_rest(world)


def test_a_flip_to_where_the_pointer_is_settles() -> None:
    world = World({})
    assert (
        flip(world.cluster, world.local, world.door, LIMITS, world.clock, world.wait, guard=world.guard).serving
        == "local"
    )
    assert "door.hold" not in " ".join(world.log)
    at_rest(world)


def test_work_in_flight_postpones() -> None:
    world = World({}, long_work=60.0)
    with pytest.raises(Busy, match=r"1 session.*local end.*app from 10\.0\.0\.10.*postponed and nothing has changed"):
        run_flip(world)
    at_rest(world)
    assert world.longest_hold <= LIMITS.drain_seconds + SLACK
    assert not [line for line in world.log if "local.close " in line]


def test_a_lag_that_does_not_end_is_given_up_at_the_deadline() -> None:
    world = World({}, lag=30.0)
    world.advance(0.5)
    with pytest.raises(StoreError):
        run_flip(world)
    at_rest(world)
    assert world.longest_hold <= LIMITS.hold_seconds + SLACK


def test_an_end_that_is_open_already_stops_the_flip_before_the_hold() -> None:
    world = World({})
    world.cluster.closed = lambda: False  # type: ignore[method-assign]
    with pytest.raises(FlipFailed, match="cluster end takes writes although the local end serves"):
        run_flip(world)
    assert not world.door.held and world.local.writable
    assert "door.hold" not in " ".join(world.log)


def test_a_way_back_that_is_missing_is_told() -> None:
    world = World({})
    world.local.follow = lambda other: (_ for _ in ()).throw(StoreError("no route"))  # type: ignore[method-assign]
    done = run_flip(world)
    assert done.serving == "cluster" and "local end does not follow it yet (no route)" in done.problem
    at_rest(world)


def test_a_note_that_fails_does_not_stop_the_flip() -> None:
    world = World({})

    def note(step: str) -> None:
        raise OSError("no space left")

    done = flip(world.local, world.cluster, world.door, LIMITS, world.clock, world.wait, note=note, guard=world.guard)
    assert done.serving == "cluster"
    at_rest(world)


def test_steps_are_told_before_they_begin() -> None:
    world = World({})
    told: list[tuple[str, bool, bool, str]] = []

    def note(step: str) -> None:
        told.append((step, world.door.held, world.local.writable, world.door.visible))

    flip(world.local, world.cluster, world.door, LIMITS, world.clock, world.wait, note=note, guard=world.guard)
    assert told == [
        ("hold", False, True, "local"),
        ("drain", True, True, "local"),
        ("fence", True, True, "local"),
        ("apply", True, False, "local"),
        ("decide", True, False, "local"),
        ("open", True, False, "cluster"),
        ("way back", False, False, "cluster"),
        ("done", False, False, "cluster"),
    ]


def test_the_real_guard_ends_a_hang() -> None:
    """With threads and the real clock: a fence that hangs is given up by the guard while it still hangs."""
    world = World({})
    hanging, released = threading.Event(), threading.Event()
    close, release = world.local.close, world.door.release

    def hang(timeout: float) -> None:
        hanging.set()
        assert released.wait(10), "the guard did not release"
        close(timeout)

    def let_go() -> None:
        release()
        if hanging.is_set():
            released.set()

    world.local.close, world.door.release = hang, let_go  # type: ignore[method-assign]
    with pytest.raises(FlipFailed, match="deadline of the hold passed at step 'fence'"):
        flip(world.local, world.cluster, world.door, Limits(hold_seconds=0.2, poll_seconds=0.001))
    at_rest(world)
    assert not [one for one in threading.enumerate() if isinstance(one, threading.Timer)]


# The world has to be able to fail a test: without these, the properties above would prove nothing.


def test_the_world_sees_two_writable_ends() -> None:
    world = World({})
    world.cluster.writable = True
    with pytest.raises(TwoEndsWritable):
        world.advance(0.1)


def test_the_world_sees_a_lost_write() -> None:
    """A cutover that does not wait for the target loses writes in this world."""
    world = World({}, lag=0.5)
    world.advance(0.2)
    world.cluster.reach = lambda position, timeout: None  # type: ignore[method-assign]
    run_flip(world)
    with pytest.raises(AssertionError):
        at_rest(world)


def test_the_world_sees_a_hold_that_stays() -> None:
    """A guard that never fires shows as a hold that is too long."""
    world = World({9: HANG})
    world.guard = lambda seconds, action: lambda: None  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        run_flip(world)
    assert world.longest_hold > LIMITS.hold_seconds + LIMITS.release_seconds


@pytest.mark.parametrize("fault", [RAISE, RAISE_AFTER, CRASH_AFTER, POWER_AFTER])
def test_a_pointer_whose_write_failed_is_asked_where_it_is(fault: str) -> None:
    """Trusting the exception of decide() instead of the pointer would open the end that the pointer does not name."""
    world = World({})
    decide = world.door.decide

    def failing(end: str) -> None:
        decide(end)
        raise StoreError("fsync failed")

    world.door.decide = failing  # type: ignore[method-assign]
    assert run_flip(world).serving == "cluster"
    at_rest(world)
