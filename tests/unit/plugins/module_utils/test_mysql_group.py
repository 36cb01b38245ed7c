# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A group is begun once, never beside another, from the member that has most; closed stays closed through cuts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_group import Accounts, Group
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Unreachable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mysql_world import ACCOUNTS, AFTER, BEFORE, GROUP_NAME, LOST, Cut, World

NAMES = ("db1", "db2", "db3")


def formed(closed: bool = False) -> World:
    world = World()
    world.group().form(world.member("db1"), closed)
    world.must_stay_closed = closed
    for server in world.servers.values():
        server.executed.add("g1")
    world.log.clear()
    return world


def at_rest(world: World, closed: bool) -> None:
    """One group of all members with everything acknowledged, open or closed as it was."""
    assert {server.state for server in world.servers.values()} == {"ONLINE"}, world.log
    assert sorted(world.view) == sorted(world.servers)
    assert not any(server.offline_mode or server.bootstrap_flag for server in world.servers.values())
    primary = world.servers[world.primary or ""]
    assert primary.writable is not closed, world.log
    assert world.group().is_closed() is closed
    for server in world.servers.values():
        assert world.acknowledged <= server.executed | server.received


@pytest.mark.parametrize("closed", [False, True])
def test_a_new_group(closed: bool) -> None:
    world = World()
    world.must_stay_closed = closed
    assert world.group().form(world.member("db2"), closed) is True
    assert world.bootstraps == ["db2"]
    assert not any(server.cloned for server in world.servers.values())
    at_rest(world, closed)


def test_a_second_run_changes_nothing() -> None:
    world = formed()
    assert world.group().form(world.member("db1"), False) is False
    assert world.log == []


def test_a_seeded_group_is_copied_and_stays_closed() -> None:
    world = World()
    world.must_stay_closed = True
    first = world.servers["db1"]
    first.executed, first.schemas, first.channels = {"s1", "s2"}, {"openedx"}, {"migrate"}
    world.group().form(world.member("db1"), closed=True)
    assert [server.cloned for server in world.servers.values()] == [0, 1, 1]
    assert first.executed == {"s1", "s2"}, "accounts must leave no trace in its history"
    assert first.channels == {"migrate"}
    at_rest(world, True)


def test_a_member_that_comes_back_is_not_copied_again() -> None:
    world = formed()
    world.servers["db1"].schemas = {"shop"}
    world.kill("db3")
    world.write()
    world.servers["db3"].recovery_account = False
    world.start("db3")
    assert world.group().form(world.member("db1"), False) is True
    assert world.servers["db3"].cloned == 0
    at_rest(world, False)


def test_members_wait_to_be_seeded() -> None:
    world = World()
    assert world.group().converge("seed", world.member("db1")) is True
    assert world.group().converge("seed", world.member("db1")) is False, "a second run changes nothing"
    assert not world.bootstraps
    assert all("admin@localhost" in server.accounts and server.super_read_only for server in world.servers.values())


def test_a_seeding_under_way_is_left_to_its_driver() -> None:
    world = World()
    world.servers["db1"].schemas, world.servers["db1"].executed = {"openedx"}, {"s1"}
    world.group().converge("seed", world.member("db1"))
    assert not world.servers["db1"].accounts
    with pytest.raises(StoreError, match="db1 holds the databases openedx"):
        world.group().converge("new", world.member("db1"))


@pytest.mark.parametrize("way", ["new", "seed", "none"])
def test_a_group_in_service_is_completed_whatever_is_asked(way: str) -> None:
    world = formed()
    world.kill("db2")
    world.servers["db2"].recovery_account = False
    world.start("db2")
    assert world.group().converge(way, world.member("db1")) is True
    at_rest(world, False)
    assert world.group().converge(way, world.member("db1")) is False


@pytest.mark.parametrize("way", ["new", "seed", "none"])
def test_a_group_that_is_down_is_only_recovered(way: str) -> None:
    world = formed()
    for name in NAMES:
        world.kill(name)
    for name in NAMES:
        world.start(name)
    with pytest.raises(StoreError, match=r"recover\.yml"):
        world.group().converge(way, world.member("db1"))


def test_nothing_is_formed_unless_it_is_asked_for() -> None:
    world = World()
    assert world.group().converge("none", world.member("db1")) is False
    assert not world.bootstraps


def test_an_absent_member_is_named() -> None:
    world = World()
    world.servers["db2"].up = False
    with pytest.raises(Unreachable, match="db2"):
        world.group().form(world.member("db1"), False)
    assert not world.bootstraps


def test_other_data_is_refused() -> None:
    world = World()
    world.servers["db3"].schemas = {"shop"}
    with pytest.raises(StoreError, match="db3 holds the databases shop"):
        world.group().form(world.member("db1"), False)
    assert not world.bootstraps


def test_a_group_that_is_down_is_not_begun_again() -> None:
    world = formed()
    world.write()
    for name in NAMES:
        world.kill(name)
    for name in NAMES:
        world.start(name)
    with pytest.raises(StoreError, match=r"recover\.yml"):
        world.group().form(world.member("db1"), False)
    assert world.bootstraps == ["db1"]


def test_errant_transactions_are_refused_with_their_cure() -> None:
    world = formed()
    world.kill("db2")
    world.servers["db2"].executed.add("errant")
    world.start("db2")
    with pytest.raises(StoreError, match=r"db2 holds what the group does not \(errant\)"):
        world.group().form(world.member("db1"), False)


def test_another_groups_members_are_refused() -> None:
    world = formed()
    members = [world.member("db1"), world.member("db2")]
    two = Group(members, GROUP_NAME, ACCOUNTS, world.connect, world.clock, world.wait, each=map)
    with pytest.raises(StoreError, match="db3:3306, which is not among the given members"):
        two.form(world.member("db1"), False)


def test_another_group_name_is_refused() -> None:
    world = formed()
    other = Group(world.group().members, "other", ACCOUNTS, world.connect, world.clock, world.wait, each=map)
    with pytest.raises(StoreError, match="mysql_group_name"):
        other.form(world.member("db1"), False)


def test_recovery_begins_with_the_most_advanced() -> None:
    world = formed()
    world.write()
    world.kill("db3")
    world.write()
    for name in ("db1", "db2"):
        world.kill(name)
    for name in NAMES:
        world.start(name)
    world.group().recover()
    assert world.bootstraps[1:] in (["db1"], ["db2"])
    at_rest(world, False)


def test_recovery_counts_what_was_only_received() -> None:
    world = formed()
    for name in NAMES:
        world.kill(name)
    world.servers["db3"].received = {"w1"}
    world.acknowledged = {"w1"}
    for name in NAMES:
        world.start(name)
    world.group().recover()
    assert world.bootstraps[1:] == ["db3"]
    at_rest(world, False)


def test_recovery_refuses_without_everybody() -> None:
    world = formed()
    for name in NAMES:
        world.kill(name)
    world.start("db1")
    world.start("db2")
    with pytest.raises(Unreachable, match="db3"):
        world.group().recover()
    world.group().recover(force=True)
    assert sorted(world.view) == ["db1", "db2"]


def test_recovery_refuses_two_histories() -> None:
    world = formed()
    for name in NAMES:
        world.kill(name)
    world.servers["db1"].executed.add("x")
    world.servers["db2"].executed.add("y")
    for name in NAMES:
        world.start(name)
    with pytest.raises(StoreError, match="none is the most advanced"):
        world.group().recover()
    assert world.bootstraps == ["db1"]


def test_recovery_of_nothing() -> None:
    with pytest.raises(StoreError, match="form the group instead"):
        World().group().recover()


def test_the_newest_configuration_says_whether_it_was_closed() -> None:
    world = formed()
    world.servers["db1"].executed = {"w1"}
    world.kill("db3")
    world.group().close(5)
    world.must_stay_closed = True
    for name in ("db1", "db2"):
        world.kill(name)
    for name in NAMES:
        world.start(name)
    world.servers["db1"].executed = world.servers["db2"].executed = world.servers["db3"].executed
    world.group().recover()
    at_rest(world, True)


def test_open_and_close_outlive_a_failover() -> None:
    world = formed()
    world.group().close(5)
    world.must_stay_closed = True
    world.kill(world.primary or "")
    assert world.group().is_closed()
    world.must_stay_closed = False
    world.group().open()
    world.write()
    assert world.acknowledged == {"w1"}


def test_a_restart_rolls_with_the_primary_last() -> None:
    world = formed()
    world.servers["db1"].channels = {"migrate"}
    world.group().restart(NAMES)
    assert [line.split(":")[0] for line in world.log if line.endswith(": RESTART")] == ["db2", "db3", "db1"]
    assert [server.process for server in world.servers.values()] == [2, 2, 2]
    assert world.servers[world.primary or ""].channels == {"migrate"}, "channels from outside move with the primary"
    at_rest(world, False)


def test_no_restart_while_a_member_is_missing() -> None:
    world = formed()
    world.kill("db3")
    world.start("db3")
    world.servers["db3"].state = "ERROR"
    world.view.remove("db3")
    with pytest.raises(StoreError, match="db3 is not ONLINE"):
        world.group().restart(["db2"])


def test_a_closed_group_stays_closed_through_a_restart() -> None:
    world = formed(closed=True)
    world.group().restart(NAMES)
    at_rest(world, True)


def test_a_member_that_never_joins_is_explained() -> None:
    world = formed()
    world.kill("db3")
    world.start("db3")
    world._leave(world.servers["db3"])
    world._join = lambda server: False  # type: ignore[method-assign]
    with pytest.raises(StoreError, match=r"db3 does not join the group: .*something went wrong"):
        world.group().form(world.member("db1"), False)


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(Accounts("a", "secret", "r", "secret"))


@pytest.mark.parametrize("fault", [BEFORE, AFTER, LOST])
@pytest.mark.parametrize("seeded", [False, True])
def test_forming_goes_on_wherever_it_was_cut(fault: str, seeded: bool) -> None:
    call = 0
    while True:
        call += 1
        world = World()
        world.must_stay_closed = seeded
        if seeded:
            world.servers["db1"].executed, world.servers["db1"].schemas = {"s1"}, {"openedx"}
        world.faults = {call: fault}
        with contextlib.suppress(Cut, StoreError):
            world.group().form(world.member("db1"), closed=seeded)
        if world.calls < call:
            break
        world.faults = {}
        world.group().form(world.member("db1"), closed=seeded)
        assert world.bootstraps == ["db1"]
        at_rest(world, seeded)
    assert call > 50, "the loop must have cut at every call"


OPERATIONS = ["form", "recover", "restart", "vacate", "write", "kill", "kill all", "start", "close", "open"]
steps = st.lists(
    st.tuples(
        st.sampled_from(OPERATIONS),
        st.sampled_from(NAMES),
        st.integers(1, 90),
        st.sampled_from([BEFORE, AFTER, LOST, None]),
    ),
    max_size=12,
)


def act(world: World, operation: str, name: str) -> None:
    group = world.group()
    actions: dict[str, Callable[[], object]] = {
        "form": lambda: group.form(world.member("db1"), world.must_stay_closed),
        "recover": group.recover,
        "restart": lambda: group.restart([name]),
        "vacate": lambda: group.vacate(world.member(name)),
        "write": world.write,
        "kill": lambda: world.kill(name),
        "kill all": lambda: [world.kill(one) for one in NAMES],
        "start": lambda: world.start(name),
        "close": lambda: group.close(5),
        "open": group.open,
    }
    actions[operation]()


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps, closed=st.booleans())
def test_whatever_happens(steps: list[tuple[str, str, int, str | None]], closed: bool) -> None:
    """The world forbids a second group, an errant account, two writable servers and a write to a closed group."""
    world = formed(closed)
    for operation, name, call, fault in steps:
        if closed and operation in ("open", "close"):
            continue
        world.calls, world.faults = 0, {call: fault} if fault else {}
        with contextlib.suppress(Cut, StoreError):
            act(world, operation, name)
        world.watch()
    world.faults = {}
    for name in NAMES:
        world.start(name)
    world.group().recover()
    if not closed:
        world.group().open()
    at_rest(world, closed)
