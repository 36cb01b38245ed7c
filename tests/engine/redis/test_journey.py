# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journey of Redis over real servers: a platform with sessions, events and a real Celery goes on all the time."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.door import StoreDoor
from ansible_collections.tutorops.scale.plugins.module_utils.redis_client import Connection
from ansible_collections.tutorops.scale.plugins.module_utils.stage import Options, Runner
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import CLUSTER, LOCAL, StoreError
from ansible_collections.tutorops.scale.plugins.module_utils.stores.redis import RedisStore
from redis_platform import Events, Part, Requests, Sessions, Tasks
from redis_site import EDGE, MEMBERS, Site, await_true, docker


def quiet(phase: str, figures: dict[str, Any]) -> None:
    """Nobody is told."""


class World:
    """The store and its runner, as on an app server."""

    def __init__(self, site: Site) -> None:
        self.site = site
        site.paths.settings("redis").parent.mkdir(parents=True, exist_ok=True)
        site.paths.settings("redis").write_text(json.dumps(site.settings()))
        self.door: StoreDoor = site.door()
        self.door.served = dataclasses.replace(self.door.served, hold="both")
        self.store = RedisStore.from_settings(site.settings(), self.door)
        self.runner = Runner("redis", site.paths, lambda name, paths: self.store)

    def run(self, stage: str, **options: Any) -> dict[str, Any]:
        """Run a stage; it has to succeed."""
        done = self.runner.run(stage, Options(**options))
        assert done["ok"], done["error"]
        return dict(done["result"])

    @contextlib.contextmanager
    def platform(self, *parts: Part) -> Iterator[None]:
        """A platform that works meanwhile, and whose requests can be held."""
        self.door.requests = Requests(*parts)
        with contextlib.ExitStack() as stack:
            for one in parts:
                stack.enter_context(one)
            yield


@pytest.fixture(scope="module")
def world(site: Site) -> World:
    return World(site)


def test_a_container_that_boots_open_is_refused(world: World) -> None:
    with pytest.raises(StoreError, match=r"lacks the line 'replicaof 127\.0\.0\.1 1'"):
        world.store.prepare(quiet)


def test_accounts_are_made_at_run_time_and_once(world: World, site: Site) -> None:
    site.boot_file(closed=True)
    assert world.run("prepare")["changed"] is True
    assert world.run("prepare")["changed"] is False
    with site.platform() as connection, pytest.raises(StoreError, match="permission"):
        connection.call("CONFIG", "GET", "*")


def test_a_member_with_data_of_its_own_is_refused(world: World, site: Site) -> None:
    with site.admin("two") as member:
        for words in (("CONFIG", "SET", "min-replicas-to-write", 0), ("REPLICAOF", "NO", "ONE"), ("SET", "own", 1)):
            member.call(*words)
        try:
            with pytest.raises(StoreError, match=r"hold data .*two \(1 keys\)"):
                world.store.follow(quiet)
        finally:
            for words in (("FLUSHALL",), ("CONFIG", "SET", "min-replicas-to-write", 99), ("REPLICAOF", EDGE, 1)):
                member.call(*words)
            member.call("REPLICAOF", "127.0.0.1", 1)


def test_it_follows_under_writes(world: World, site: Site) -> None:
    sessions = Sessions()
    with site.platform(3) as connection:
        connection.batch([("SET", f"old{number}", "x" * 200, "EX", 5000) for number in range(3000)])
        connection.batch([("HSET", f"hash{number}", "a", number, "b", "2") for number in range(300)])
        connection.batch([("RPUSH", "long", *map(str, range(5000))), ("SADD", "set", *map(str, range(5000)))])
        connection.batch([("ZADD", "sorted", *[w for n in range(3000) for w in (n / 7, f"m{n}")])])
    with world.platform(sessions):
        begun = time.monotonic()
        done = world.run("follow")
        print(f"\nfollow: {time.monotonic() - begun:.1f} s, {done}")
    assert done["changed"] and done["members"] == list(MEMBERS)
    assert (sessions.failed, sessions.logged_out) == ([], [])
    assert world.store.cluster.closed() and not world.store.cluster.sentinels.watched()["one"]
    assert world.run("follow")["changed"] is False
    status = world.run("status")
    assert (status["stage"], status["prepared"], status["trouble"]) == ("following", True, [])


def test_it_is_not_ready_before_a_comparison(world: World) -> None:
    with pytest.raises(StoreError, match="run the stage compare first"):
        world.store.ready()


def test_equal_ends_are_found_equal_under_writes(world: World) -> None:
    sessions, events = Sessions(), Events()
    with world.platform(sessions, events):
        time.sleep(0.5)
        outcome = world.run("compare")
    print(f"\ncompare: {outcome}")
    assert outcome["equal"] and outcome["rows"] > 3300 and outcome["bytes"] > 600_000
    assert sessions.failed == events.failed == []


def test_what_differs_is_named(world: World, site: Site) -> None:
    """On the member that the comparison reads, and mended there: nothing of it reaches the others."""

    leader = world.store.cluster.members.leader().name

    def alter(*commands: tuple[Any, ...]) -> None:
        with site.admin(leader, 3) as member:
            member.call("CONFIG", "SET", "replica-read-only", "no")
            for words in commands:
                member.call(*words)
            member.call("CONFIG", "SET", "replica-read-only", "yes")

    before = site.admin(leader, 3).call("PEXPIRETIME", "old2")
    alter(("SET", "old1", "other", "KEEPTTL"), ("PEXPIRE", "old2", 999000), ("HSET", "hash1", "b", "3"),
          ("SREM", "set", "77"), ("LSET", "long", 4000, "?"), ("ZADD", "sorted", 1, "m2999"), ("DEL", "old3"),
          ("SET", "more", "1"))  # fmt: skip
    try:
        outcome = world.store.compare(quiet)
    finally:
        alter(("SET", "old1", "x" * 200, "KEEPTTL"), ("PEXPIREAT", "old2", before), ("HSET", "hash1", "b", "2"),
              ("SADD", "set", "77"), ("LSET", "long", 4000, "4000"), ("ZADD", "sorted", 2999 / 7, "m2999"),
              ("DEL", "more"))  # fmt: skip
        with site.platform(3) as connection:
            connection.call("SET", "old3", "x" * 200, "EX", 5000)
    found = {one.where.rpartition("key ")[2]: one.detail for one in outcome.differences}
    assert set(found) == {"old1", "old2", "old3", "hash1", "set", "long", "sorted", "more"}
    assert "content (string)" in found["old1"] and "expiry" in found["old2"] and "missing there" in found["old3"]
    assert world.run("compare")["equal"]


def test_a_client_that_goes_around_the_edge_is_named(world: World, site: Site) -> None:
    with Connection(site.address("source")) as around:
        around.call("SET", "around", 1)
        with pytest.raises(StoreError, match=r"default from .*point them at"):
            world.store.ready()


def test_a_client_in_the_middle_of_something_postpones(world: World, site: Site) -> None:
    with site.platform() as connection, site.platform() as other:
        connection.call("MULTI")
        connection.call("SET", "half", 1)
        done = world.runner.run("cutover", Options(attempts=1))
        assert done["postponed"] and "the flip is postponed and nothing has changed" in done["error"]
        assert world.door.pointer() == LOCAL
        assert connection.call("EXEC") == [b"OK"] and other.call("GET", "half") == b"1"


class Watch:
    """Sees two ends that take writes at once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.looks = 0
        self.both: list[str] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        local = RedisStore.from_settings(self._world.site.settings(), self._world.site.door())
        while not self._stop.is_set():
            before = self._open(local)
            members = [one.name for one in local.cluster.states() if one.replication is not None and not one.refuses]
            # Twice, because a flip may pass between two looks.
            if before and members and self._open(local):
                self.both.append(f"local and {members}")
            self.looks += 1
            time.sleep(0.005)

    def _open(self, store: RedisStore) -> bool:
        try:
            return not store.local.server.refuses()
        except StoreError:
            return False


@pytest.fixture(scope="module")
def tasks(site: Site) -> Iterator[Tasks]:
    made = Tasks(site.folder, workers=2)
    made.start_workers()
    try:
        yield made
    finally:
        made.stop_workers()


def moves(world: World, tasks: Tasks, stage: str, backlog: int, **options: Any) -> None:
    """A flip with everything going on; nobody notices."""
    sessions, events = Sessions(), Events()
    with world.platform(sessions, events, tasks), Watch(world) as watch:
        for _ in range(backlog):
            tasks.send(0.05)
        for seconds in (3, 6):
            tasks.send(countdown=seconds)
        tasks.send(3.0)
        time.sleep(1)
        flip = world.run(stage, **options)["flip"]
        print(f"\n{stage}: held {flip['hold_seconds'] * 1000:.0f} ms, {flip['steps']}, {flip['problem']}")
        time.sleep(2)
    assert (sessions.failed, sessions.logged_out, events.failed, tasks.failed) == ([], [], [], [])
    assert watch.looks > 100 and watch.both == []
    assert flip["problem"] == ""
    # Every event came once, and in the end each task ran once.
    assert set(events.read) == set(events.written) and set(events.read.values()) == {1}
    assert tasks.audit() == ([], [])
    assert tasks.alive()


def untouched_by_sentinel(world: World, site: Site) -> None:
    """The old container follows a replica, so no Sentinel has ever heard of it."""
    state = world.store.local.server.look()
    assert (state.host, state.port) == (EDGE, 16380)
    for name in MEMBERS:
        with Connection(site.address(name), 26379, "tutorops", "admin-secret", str(site.folder / "ca.pem")) as sentinel:
            told = sentinel.call("SENTINEL", "REPLICAS", "openedx")
            addresses = {one[one.index(b"ip") + 1].decode() for one in told}
            assert addresses < {site.address(one) for one in MEMBERS} and len(addresses) == 2


def test_it_flips_to_the_cluster(world: World, site: Site, tasks: Tasks) -> None:
    moves(world, tasks, "cutover", backlog=200)
    status = world.run("status")
    assert (status["stage"], status["way_back"]) == ("cutover", True)
    facts = status["way_back_facts"]
    assert facts["partial_resync"] and facts["holds"] and facts["backlog_bytes"] == 64 * 1024 * 1024
    await_true(lambda: untouched_by_sentinel(world, site) is None, "Sentinels")
    assert world.run("follow")["changed"] is False


def test_both_ends_are_compared_in_the_other_direction(world: World) -> None:
    sessions = Sessions()
    with world.platform(sessions):
        assert world.run("compare")["equal"]
    assert sessions.failed == []


def test_the_old_container_restarts_closed_and_follows_again(world: World, site: Site) -> None:
    with Watch(world) as watch:
        docker("restart", "--time=0", site.container("source"))
        await_true(lambda: world.store.local.server.look().link_up, "the way back")
    assert watch.both == [] and world.store.local.closed()
    untouched_by_sentinel(world, site)


def test_the_primary_is_killed_and_everything_goes_on(world: World, site: Site, tasks: Tasks) -> None:
    first = world.store.cluster.primary().name
    tasks.free.set()
    sessions = Sessions()
    written: list[tuple[float, str]] = []
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            with contextlib.suppress(StoreError), site.platform(5, timeout=2) as connection:
                connection.call("SET", f"ledger{number}", "1")
                written.append((time.monotonic(), f"ledger{number}"))
                number += 1
            time.sleep(0.02)

    writer = threading.Thread(target=write)
    with world.platform(sessions, tasks):
        writer.start()
        time.sleep(1)
        killed = time.monotonic()
        site.kill_member(first)
        await_true(lambda: world.store.cluster.takes_writes() not in (None, first), "another primary")
        await_true(lambda: any(at > killed + 1 for at, _ in written), "the first good write")
        time.sleep(3)
        stop.set()
        writer.join()
    gap = max(b - a for (a, _), (b, _) in zip(written, written[1:], strict=False))
    with site.platform(5) as connection:
        lost = [key for _, key in written if connection.call("GET", key) is None]
    print(f"\nfailover: {gap:.1f} s without a write, {len(lost)} of {len(written)} lost")
    assert gap < 10 and lost == []
    assert sessions.logged_out == []
    missing, twice = tasks.audit(20)
    with site.platform() as connection:
        recorded = connection.call("HLEN", "unacked")
    print(f"tasks that did not run: {len(missing)}, {recorded} of them recorded by their workers")
    # A worker writes down what it was handed only afterwards: one task for each may go down with a primary.
    assert len(missing) <= recorded + 2 and twice == [] and tasks.alive()
    tasks.sent = [one for one in tasks.sent if one not in missing]
    marked = len(tasks.done())
    tasks.send()
    await_true(lambda: len(tasks.done()) > marked, "a task after the failover")
    await_true(lambda: world.store.local.server.look().link_up, "the way back after the failover")
    site.run_member(first)
    await_true(
        lambda: {one.role for one in world.store.cluster.states() if one.name == first} == {"replica"},
        "the killed member as a replica",
    )
    await_true(lambda: world.run("status")["way_back"], "the way back")
    untouched_by_sentinel(world, site)


def test_it_rolls_back_with_every_later_write(world: World, site: Site, tasks: Tasks) -> None:
    with site.platform(5) as connection:
        connection.call("SET", "later", "yes", "EX", 7777)
    await_true(lambda: world.store.ready() is None, "all members")
    moves(world, tasks, "rollback", backlog=100)
    assert world.run("status")["stage"] == "following"
    with site.platform(5) as connection:
        assert connection.call("GET", "later") == b"yes" and 7000 < connection.call("TTL", "later") <= 7777
    assert not any(world.store.cluster.sentinels.watched().values())


def test_a_restart_of_the_serving_container_is_opened_again(world: World, site: Site) -> None:
    begun = time.monotonic()
    docker("restart", "--time=0", site.container("source"))
    with site.platform(5) as connection:
        connection.call("SET", "again", "1")
    print(f"\nrestart of the serving container: {time.monotonic() - begun:.1f} s to the first good write")
    await_true(lambda: world.run("status")["lag"]["link_up"], "the cluster behind it")
    assert world.run("compare")["equal"]


def test_it_flips_again_and_commits(world: World, site: Site, tasks: Tasks) -> None:
    moves(world, tasks, "cutover", backlog=0, again=True)
    world.run("commit")
    assert world.run("status")["stage"] == "committed"
    assert world.store.local.closed() and not world.store.local.server.look().link_up
    with pytest.raises(StoreError, match="no way back"):
        world.store.ready()
    docker("restart", "--time=0", site.container("source"))
    await_true(world.store.local.closed, "the old container")
    assert world.door.pointer() == CLUSTER
