# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promises of MongoDB's move, proven on a set where every call may go wrong in every way."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.cutover import (
    Flip,
    FlipFailed,
    FlipUnfinished,
    NoWayBack,
    other,
)
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_config import at_rest, differing
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_move import in_end
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Busy, StoreError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mongodb_world import (
    CRASH_AFTER,
    FAULTS,
    LIMITS,
    LOCAL_HOST,
    MEMBERS,
    OTHER,
    RAISE,
    RAISE_AFTER,
    Crash,
    World,
)

ENDS = ("local", "cluster")
faults = st.dictionaries(st.integers(1, 160), st.sampled_from(FAULTS), max_size=6)


def run(world: World, end: str) -> Flip:
    def note(step: str) -> None:
        # What has to be put in order cannot always wait for operations to end; drivers ride that out.
        world.guarded = step not in ("restore", "way back", "done")

    try:
        return world.move().run(end, LIMITS, note)
    finally:
        world.guarded = False


def settle(world: World) -> str:
    return world.move().settle(LIMITS)


def rests(world: World) -> None:
    """The one state that everything ends in."""
    serving = world.door.serving
    assert world.primary is not None and in_end(world.primary, LOCAL_HOST, serving), "\n".join(world.log)
    assert differing(world.config, at_rest(world.config, serving, LOCAL_HOST)) == [], "\n".join(world.log)
    assert world.door.pointed == serving
    assert not world.door.requests.holds() and not world.door.pause.holds()


@pytest.mark.parametrize("serving", ENDS)
def test_the_work_moves(serving: str) -> None:
    world = World(serving=serving)
    steps: list[str] = []
    done = world.move().run(other(serving), LIMITS, steps.append)
    assert done.serving == other(serving) and not done.problem
    assert steps == ["seats", "hold", "drain", "pause", "step down", "decide", "open", "way back", "done"]
    assert 0 < done.hold_seconds < 0.2
    rests(world)


@pytest.mark.parametrize("serving", ENDS)
def test_moving_to_where_it_is_settles_what_is_left(serving: str) -> None:
    world = World(serving=serving)
    assert run(world, serving).serving == serving
    rests(world)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    serving=st.sampled_from(ENDS),
    runs=st.lists(st.tuples(st.sampled_from(["move", "settle"]), faults), min_size=1, max_size=4),
    busy=st.sampled_from([0.0, 0.5, 30.0]),
    elects=st.booleans(),
)
def test_whatever_goes_wrong(serving: str, runs: list[tuple[str, dict[int, str]]], busy: float, elects: bool) -> None:
    """The pointer goes only to an end that leads, holds end, and settling reaches the state at rest from anywhere."""
    world = World(serving=serving, busy_until=busy, elects=elects)
    for operation, wrong in runs:
        world.faults, world.calls = wrong, 0
        before = world.door.serving
        try:
            if operation == "move":
                assert run(world, other(before)).serving == other(before) == world.door.serving
            else:
                assert settle(world) == before
        except Crash:
            continue
        except (FlipUnfinished, NoWayBack):
            pass
        except (StoreError, RuntimeError):
            assert world.door.serving == before
        # No hold outlasts its bound, whoever died.
        bound = LIMITS.hold_seconds + LIMITS.release_seconds
        assert max(world.door.requests.longest, world.door.pause.longest) <= bound
    world.faults, world.elects = {}, True
    world.wait(10)
    assert settle(world) == world.door.serving
    rests(world)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    serving=st.sampled_from(ENDS),
    wrong=st.dictionaries(st.integers(1, 120), st.sampled_from([RAISE, RAISE_AFTER, OTHER]), max_size=3),
)
def test_without_a_crash_holds_are_gone_at_the_end(serving: str, wrong: dict[int, str]) -> None:
    world = World(serving=serving, faults=wrong)
    try:
        run(world, other(serving))
    except (StoreError, RuntimeError):
        pass
    failed = [line for line in world.log if "release" in line and "[" in line]
    if not failed:
        assert not world.door.requests.holds() and not world.door.pause.holds()


@pytest.mark.parametrize("serving", ENDS)
def test_a_death_after_any_call_is_settled(serving: str) -> None:
    reference = World(serving=serving)
    run(reference, other(serving))
    ended = set()
    for call in range(1, reference.calls + 1):
        world = World(serving=serving, faults={call: CRASH_AFTER})
        with pytest.raises(Crash):
            run(world, other(serving))
        world.faults = {}
        ended.add(settle(world))
        rests(world)
    assert ended == set(ENDS)


@pytest.mark.parametrize("serving", ENDS)
def test_requests_that_do_not_end_postpone_it(serving: str) -> None:
    world = World(serving=serving)
    world.door.requests.drained_at = 1000.0
    with pytest.raises(Busy, match="requests to the platform are still being answered"):
        run(world, other(serving))
    rests(world)


def test_operations_that_do_not_end_postpone_it() -> None:
    world = World(busy_until=1000.0)
    with pytest.raises(Busy, match="operations on the set still run"):
        run(world, "cluster")
    rests(world)


def test_a_set_that_elects_nobody_stays_where_it_was() -> None:
    world = World()
    world.elects = False
    with pytest.raises(FlipFailed, match="no member of the cluster end was elected within 5 s"):
        run(world, "cluster")
    assert world.door.serving == "local"
    world.elects = True
    world.wait(10)
    assert settle(world) == "local"
    rests(world)


def test_a_member_that_does_not_replicate_stops_it_before_anything_is_held() -> None:
    world = World()
    world.nodes[MEMBERS[1]].state = "RECOVERING"
    with pytest.raises(StoreError, match=f"{MEMBERS[1]} does not replicate"):
        run(world, "cluster")
    assert world.door.requests.longest == 0
    rests(world)


def test_an_old_container_that_is_down_keeps_the_cluster_from_nothing() -> None:
    world = World(serving="cluster")
    world.nodes[LOCAL_HOST].up_at = 1e9
    assert settle(world) == "cluster"
    rests(world)


def test_losing_the_closed_cluster_costs_the_container_nothing() -> None:
    world = World()
    for host in MEMBERS:
        world.nodes[host].up_at = 1e9
    world.wait(30)
    assert world.primary == LOCAL_HOST
    assert settle(world) == "local"


def test_a_pointer_that_cannot_be_read_leaves_the_set_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    def decide(end: str) -> None:
        def unreadable() -> Any:
            raise OSError("the disk is gone")

        monkeypatch.setattr(world.door, "pointer", unreadable)
        raise OSError("the disk is gone")

    monkeypatch.setattr(world.door, "decide", decide)
    with pytest.raises(FlipUnfinished, match="mend the disk"):
        run(world, "cluster")
    assert world.primary in MEMBERS and not world.door.pause.holds()
