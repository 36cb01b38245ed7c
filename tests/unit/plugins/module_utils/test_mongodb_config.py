# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seats in a set, and the steps from one configuration to another that MongoDB takes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_config import (
    CLOSED,
    OPEN,
    VOTER,
    Seat,
    at_rest,
    differing,
    first_config,
    hosts,
    join_host,
    new_member,
    next_config,
    seats,
    shared,
    split_host,
    with_member,
    without_members,
)
from hypothesis import given
from hypothesis import strategies as st

LOCAL, ONE, TWO, THREE = "10.0.0.1:27117", "10.0.0.11:27017", "10.0.0.12:27017", "10.0.0.13:27017"
ALL = (LOCAL, ONE, TWO, THREE)
SEATS = (OPEN, CLOSED, VOTER, Seat(1, 5, False))


def config(*given: Seat) -> dict[str, Any]:
    members = [new_member(number, host, one) for number, (host, one) in enumerate(zip(ALL, given, strict=True))]
    return {"_id": "openedx", "version": 3, "term": 2, "members": members}


def test_while_the_container_serves_the_cluster_has_neither_vote_nor_place_nor_clients() -> None:
    assert at_rest(config(OPEN, OPEN, OPEN, OPEN), "local", LOCAL) == {
        LOCAL: OPEN, ONE: CLOSED, TWO: CLOSED, THREE: CLOSED}  # fmt: skip


def test_priorities_that_an_operator_gave_to_members_that_serve_stay() -> None:
    found = at_rest(config(OPEN, Seat(1, 5, False), OPEN, CLOSED), "cluster", LOCAL)
    assert found == {LOCAL: CLOSED, ONE: Seat(1, 5, False), TWO: OPEN, THREE: OPEN}


def test_only_the_end_that_takes_over_can_be_elected_when_the_primary_steps_down() -> None:
    cluster = config(CLOSED, OPEN, OPEN, OPEN)
    assert shared(cluster, "local", LOCAL, TWO) == {LOCAL: OPEN, ONE: VOTER, TWO: OPEN, THREE: VOTER}
    assert shared(config(OPEN, CLOSED, CLOSED, CLOSED), "cluster", LOCAL, LOCAL) == dict.fromkeys(ALL, OPEN)


@given(st.tuples(*[st.sampled_from(SEATS)] * 4), st.tuples(*[st.sampled_from(SEATS)] * 4))
def test_every_configuration_is_reached_by_one_vote_at_a_time(start: tuple[Seat, ...], end: tuple[Seat, ...]) -> None:
    now, wanted = config(*start), dict(zip(ALL, end, strict=True))
    for _ in range(10):
        step = next_config(now, wanted)
        if step is None:
            break
        voters = [{host for host, one in seats(each).items() if one.votes} for each in (now, step)]
        assert len(voters[0] ^ voters[1]) <= 1
        assert step["version"] == now["version"] + 1 and "term" not in step
        now = step
    assert seats(now) == wanted and differing(now, wanted) == []


def test_votes_are_given_before_others_are_taken() -> None:
    step = next_config(config(OPEN, CLOSED, CLOSED, CLOSED), {LOCAL: CLOSED, ONE: OPEN, TWO: CLOSED, THREE: CLOSED})
    assert step is not None and seats(step)[ONE] == OPEN and seats(step)[LOCAL] == OPEN


def test_members_come_closed_and_go() -> None:
    begun = first_config("openedx", [LOCAL])
    assert begun["settings"] == {"electionTimeoutMillis": 5000, "heartbeatTimeoutSecs": 2}
    joined = with_member(with_member(begun, ONE), TWO)
    assert [one["_id"] for one in joined["members"]] == [0, 1, 2] and seats(joined)[ONE] == CLOSED
    left = without_members(joined, [ONE])
    assert hosts(left) == [LOCAL, TWO]
    # A number is never used again while a later one is in use.
    assert [one["_id"] for one in with_member(left, THREE)["members"]] == [0, 2, 3]
    assert hosts(joined) == [LOCAL, ONE, TWO]


@pytest.mark.parametrize("address", ["10.0.0.1", "db1.example.org", "fd00::1"])
def test_names_are_taken_apart_as_they_were_put_together(address: str) -> None:
    assert split_host(join_host(address, 27017)) == (address, 27017)
