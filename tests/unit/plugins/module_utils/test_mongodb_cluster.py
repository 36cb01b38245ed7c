# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster alone: formed, completed, restarted, recovered, and left closed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import MongodbError
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_cluster import Administrator, Cluster
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_config import (
    CLOSED,
    OPEN,
    Seat,
    first_config,
    hosts,
    seats,
    with_seats,
    without_members,
)
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_settings import Member
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Unreachable
from mongodb_world import LOCAL_HOST, MEMBERS, Crash, World

ADMIN = Administrator("tutorops_admin", "secret")


class Session:
    """A login of an account."""

    def __init__(self, world: World, user: str, password: str) -> None:
        self.good = world.accounts.get(user) == password

    def command(self, name: str, *given: Any) -> dict[str, Any]:
        if not self.good:
            raise MongodbError("Authentication failed.", 18)
        return {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *problem: object) -> None:
        """It was open."""


def cluster(world: World, patience: float = 60.0) -> Cluster:
    members = [Member(f"data{number}", host.partition(":")[0]) for number, host in enumerate(MEMBERS, 1)]

    def in_turn(ask: Any, asked: Any) -> Any:
        return ((host, ask(host)) for host in asked)

    return Cluster(
        members, "tutorops", world.connect, ADMIN, lambda host, user, password: Session(world, user, password),
        world.clock, world.wait, patience, in_turn,
    )  # type: ignore[arg-type]  # fmt: skip


def bare() -> World:
    """Three empty members."""
    world = World()
    world.config = {"_id": "", "version": 0, "term": 0, "members": []}
    world.primary = None
    return world


def formed() -> World:
    world = bare()
    cluster(world).converge("new")
    return world


def test_a_new_set_is_begun_once_with_its_administrator() -> None:
    world = bare()
    assert cluster(world).converge("new")
    assert hosts(world.config) == list(MEMBERS) and world.accounts == {"tutorops_admin": "secret"}
    assert set(seats(world.config).values()) == {OPEN}
    world.wait(5)
    version = world.config["version"]
    assert not cluster(world).converge("new") and world.config["version"] == version


@pytest.mark.parametrize("way", ["seed", "none"])
def test_members_wait_for_whoever_seeds_them(way: str) -> None:
    world = bare()
    one = cluster(world)
    assert not one.converge(way) and world.config["members"] == []
    assert not one.expected(way, one.look()) and one.expected("new", one.look())


def test_a_member_that_is_missing_joins_and_gets_its_vote_when_it_has_everything() -> None:
    world = formed()
    world.wait(5)
    world.config = {**without_members(world.config, [MEMBERS[2]]), "term": 1}
    one = cluster(world)
    assert one.expected("none", one.look())
    assert one.converge("none")
    assert seats(world.config)[MEMBERS[2]] == OPEN
    assert not one.converge("none")


def test_priorities_stay_and_times_are_put_right() -> None:
    world = formed()
    world.wait(5)
    world.config = {**with_seats(world.config, {MEMBERS[1]: Seat(1, 3, False)}), "term": 1, "settings": {"x": 1}}
    assert cluster(world).converge("none")
    assert seats(world.config)[MEMBERS[1]] == Seat(1, 3, False)
    assert world.config["settings"] == {"x": 1, "electionTimeoutMillis": 5000, "heartbeatTimeoutSecs": 2}


def test_the_administrator_gets_a_password_that_changed() -> None:
    world = formed()
    world.wait(5)
    world.accounts["tutorops_admin"] = "old"
    assert cluster(world).converge("none") and world.accounts["tutorops_admin"] == "secret"


def test_a_closed_cluster_stays_closed() -> None:
    world = World()
    one = cluster(world)
    standing = one.look()
    assert standing.closed(one.hosts) and standing.in_service and standing.primary == LOCAL_HOST
    assert not one.converge("seed") and not one.expected("seed", standing)
    assert [seats(world.config)[host] for host in MEMBERS] == [CLOSED] * 3


def test_a_cluster_that_serves_with_an_old_container_behind_it_is_open() -> None:
    world = World(serving="cluster")
    one = cluster(world)
    assert not one.look().closed(one.hosts)
    world.accounts["tutorops_admin"] = "secret"
    one.converge("seed")
    assert seats(world.config)[LOCAL_HOST] == CLOSED


def test_nothing_is_converged_while_a_member_is_silent() -> None:
    world = formed()
    world.nodes[MEMBERS[1]].up_at = 1e9
    with pytest.raises(Unreachable, match="data2: .* start them"):
        cluster(world).converge("new")


def test_a_set_without_a_primary_is_not_begun_again() -> None:
    world = formed()
    world.elects, world.primary, world.election_due = False, None, None
    with pytest.raises(StoreError, match="belongs to it: run recover.yml"):
        cluster(world).converge("new")


def test_another_set_is_refused() -> None:
    world = formed()
    status: Any = world._status
    world._status = lambda host: {**status(host), "set": "rs0"}  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="data1 is a member of the set rs0, not of tutorops: set mongodb_set_name"):
        cluster(world).converge("none")


# Restarting


def test_members_restart_one_by_one_the_primary_last() -> None:
    world = formed()
    world.wait(5)
    first = world.primary
    cluster(world).restart(["data1", "data2", "data3"])
    assert world.restarts[-1] == first and sorted(world.restarts) == sorted(MEMBERS)
    assert world.primary != first


def test_only_those_that_want_it_restart() -> None:
    world = formed()
    world.wait(5)
    cluster(world).restart(["data3"])
    assert world.restarts == [MEMBERS[2]]


def test_nobody_restarts_while_a_member_is_not_well() -> None:
    world = formed()
    world.nodes[MEMBERS[2]].state = "RECOVERING"
    with pytest.raises(StoreError, match=r"cannot restart data1 while data3 \(RECOVERING\) is not well"):
        cluster(world).restart(["data1"])
    assert world.restarts == []


def test_members_of_a_closed_cluster_restart_and_stay_closed() -> None:
    world = World()
    cluster(world).restart(["data1", "data2", "data3"])
    assert world.restarts == list(MEMBERS) and world.primary == LOCAL_HOST


# Recovering


def test_a_set_that_was_down_is_waited_for() -> None:
    world = formed()
    world.primary, world.election_due = None, world.now + 20
    assert cluster(world).recover() and world.primary is not None
    assert not cluster(world).recover()


def test_a_set_that_elects_nobody_is_told() -> None:
    world = formed()
    world.elects, world.primary = False, None
    with pytest.raises(StoreError, match="waited 10 s in vain for the set to elect a primary"):
        cluster(world, patience=10.0).recover()


def test_without_force_a_silent_member_stops_it() -> None:
    world = formed()
    world.nodes[MEMBERS[0]].up_at = 1e9
    with pytest.raises(Unreachable, match="cannot recover the set"):
        cluster(world).recover()


def test_with_force_the_others_go_on() -> None:
    world = formed()
    for host in MEMBERS[:2]:
        world.nodes[host].up_at = 1e9
    world.wait(1)
    assert cluster(world).recover(force=True)
    assert hosts(world.config) == [MEMBERS[2]] and world.primary == MEMBERS[2]


def test_with_force_a_closed_cluster_goes_on_without_what_it_followed() -> None:
    world = World()
    world.nodes[LOCAL_HOST].up_at = 1e9
    world.wait(1)
    with pytest.raises(StoreError, match="in vain"):
        cluster(world, patience=10.0).recover()
    assert cluster(world).recover(force=True)
    assert hosts(world.config) == list(MEMBERS) and set(seats(world.config).values()) == {OPEN}
    assert world.primary in MEMBERS


def test_nothing_is_recovered_where_nothing_was() -> None:
    with pytest.raises(StoreError, match="no member knows of a set"):
        cluster(bare()).recover()


def test_forming_goes_on_where_it_was_cut() -> None:
    reference = bare()
    cluster(reference).converge("new")
    for call in range(1, reference.calls + 1):
        world = bare()
        world.faults = {call: "the driver dies after"}
        with pytest.raises(Crash):
            cluster(world).converge("new")
        world.faults = {}
        world.wait(10)
        cluster(world).converge("new")
        assert hosts(world.config) == list(MEMBERS) and world.accounts, call


def test_the_first_configuration_is_what_a_set_begins_with() -> None:
    assert hosts(first_config("tutorops", MEMBERS)) == list(MEMBERS)
