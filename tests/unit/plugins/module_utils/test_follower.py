# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The follower in a world where containers, fences, pointers, flips and HAProxy itself change at random."""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import follower as following
from ansible_collections.tutorops.scale.plugins.module_utils.docker import Docker, DockerError
from ansible_collections.tutorops.scale.plugins.module_utils.edge import EdgeError, EdgeSettings, Server, write_pointer
from ansible_collections.tutorops.scale.plugins.module_utils.flip_marker import FlipMarker, clear_marker
from ansible_collections.tutorops.scale.plugins.module_utils.follower import Follower, forget_members
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from hypothesis import given, settings
from hypothesis import strategies as st

SETTINGS = EdgeSettings.from_dict(
    {
        "address": "10.0.0.10",
        "compose_project": "tutor_local",
        "client_networks": ["10.1.0.0/16"],
        "stores": {"mysql": {"port": 3306, "service": "mysql", "service_port": 3306}},
    }
)
BACKENDS = ("mysql_local", "mysql_source")


@dataclass
class FakeEdge:
    """HAProxy as far as the follower knows it."""

    running: bool = True
    limit_now: int = 2000
    addresses: dict[str, tuple[str, int]] = field(default_factory=lambda: dict.fromkeys(BACKENDS, ("", 1)))
    maintenance: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(BACKENDS, False))
    clients: set[str] = field(default_factory=lambda: {"127.0.0.0/8"})
    calls: int = 0
    members: list[Server] = field(default_factory=list)
    sessions: dict[str, int] = field(default_factory=dict)
    cut: list[tuple[str, str]] = field(default_factory=list)

    def _called(self) -> None:
        if not self.running:
            raise EdgeError("the edge does not answer")

    def held(self, store: str) -> bool:
        self._called()
        return self.limit_now == 0

    def limit(self, store: str, connections: int) -> None:
        self.calls += 1
        self.limit_now = connections

    def servers(self, *backends: str) -> list[Server]:
        self._called()
        local = [
            Server(name, "local", *self.addresses[name], self.maintenance[name], True)
            for name in backends
            if name in BACKENDS
        ]
        return local + [one for one in self.members if one.backend in backends]

    def set_address(self, backend: str, server: str, address: str, port: int) -> None:
        self.calls += 1
        self.addresses[backend] = (address, port)

    def set_state(self, backend: str, server: str, state: str) -> None:
        self.calls += 1
        self.maintenance[backend] = state == "maint"

    def busy(self, *backends: str) -> dict[tuple[str, str], int]:
        return {(one.backend, one.name): self.sessions.get(one.name, 0) for one in self.members}

    def shutdown(self, *servers: tuple[str, str]) -> None:
        self.calls += 1
        self.cut += servers

    def entries(self, path: Path) -> list[str]:
        self._called()
        return sorted(self.clients)

    def add_entry(self, path: Path, entry: str) -> None:
        self.calls += 1
        self.clients.add(entry)

    def delete_entry(self, path: Path, entry: str) -> None:
        self.calls += 1
        self.clients.remove(entry)

    def state(self) -> str:
        return "1\n"

    def restart(self, paths: Paths) -> None:
        """A new process: no hold, nobody in maintenance, the clients of the file."""
        fresh = FakeEdge(clients=set(paths.clients.read_text(encoding="utf-8").split()) or {"127.0.0.0/8"})
        self.__dict__.update(fresh.__dict__)


@dataclass
class World:
    """Everything that the follower looks at."""

    paths: Paths
    edge: FakeEdge = field(default_factory=FakeEdge)
    container: str | None = None
    fenced: bool | None = False
    networks: list[str] = field(default_factory=list)
    docker_answers: bool = True
    now: float = 1000.0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in (self.paths.var / "pointers", self.paths.run):
            path.mkdir(parents=True)
        self.paths.clients.write_text("127.0.0.0/8\n", encoding="utf-8")
        write_pointer(self.paths.pointer("mysql"), "mysql", "local")
        self.follower = self.new_follower()

    def new_follower(self) -> Follower:
        return Follower(
            SETTINGS,
            self.edge,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            self.paths,
            {"mysql": lambda address, port: self.fenced},
            clock=lambda: self.now,
            say=self.said.append,
        )

    # what docker says

    def address(self, project: str, service: str) -> str | None:
        if not self.docker_answers:
            raise DockerError("docker did not answer")
        return self.container

    def subnets(self, project: str) -> list[str]:
        return self.networks

    # what happens

    def mark(self, owner: str, hold_ends: float) -> None:
        pid = os.getpid() if owner == "living" else 0
        started = FlipMarker.mine("", "", "", 0.0).process_started if owner == "living" else ""
        FlipMarker("cutover", "local", "cluster", pid, started, hold_ends).write(self.paths.flip("mysql"))

    def turn(self) -> None:
        self.follower.look()
        self.follower.reconcile()


def world_in(folder: Path) -> World:
    return World(Paths(folder / "etc", folder / "var", folder / "run"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_in(tmp_path)


happenings = st.one_of(
    st.tuples(st.just("container"), st.sampled_from([None, "172.18.0.2", "172.18.0.3"])),
    st.tuples(st.just("fenced"), st.sampled_from([True, False, None])),
    st.tuples(st.just("networks"), st.sampled_from([[], ["172.18.0.0/16"], ["172.18.0.0/16", "172.19.0.0/16"]])),
    st.tuples(st.just("docker_answers"), st.booleans()),
    st.tuples(st.just("pointer"), st.sampled_from(["local", "cluster"])),
    st.tuples(st.just("hold"), st.none()),
    st.tuples(st.just("marker"), st.sampled_from([None, ("living", 900.0), ("dead", 900.0), ("dead", 2000.0)])),
    st.tuples(st.just("restart"), st.sampled_from(["edge", "follower"])),
    st.tuples(st.just("turn"), st.none()),
)


def happen(world: World, what: str, how: object) -> None:
    if what == "pointer":
        write_pointer(world.paths.pointer("mysql"), "mysql", str(how))
    elif what == "hold":
        world.edge.limit_now = 0
    elif what == "marker":
        world.mark(*how) if isinstance(how, tuple) else clear_marker(world.paths.flip("mysql"))
    elif what == "restart":
        if how == "edge":
            world.edge.restart(world.paths)
        else:
            world.follower = world.new_follower()
    elif what == "turn":
        world.turn()
    else:
        setattr(world, what, how)


@settings(max_examples=300, deadline=None)
@given(happened=st.lists(happenings, max_size=15))
def test_whatever_happened_one_look_sets_it_right(
    tmp_path_factory: pytest.TempPathFactory, happened: list[tuple[str, object]]
) -> None:
    world = world_in(tmp_path_factory.mktemp("follower"))
    for what, how in happened:
        happen(world, what, how)
    world.docker_answers = True
    before = dict(world.edge.maintenance)
    world.turn()
    edge, marker = world.edge, FlipMarker.read(world.paths.flip("mysql"))
    flips = marker is not None and marker.alive()
    # The address is right wherever there is one.
    if world.container:
        assert set(edge.addresses.values()) == {(world.container, 3306)}
    # During a flip the flip alone opens and closes.
    pointer = world.paths.pointer("mysql").read_text().split()[1]
    if flips:
        assert edge.maintenance["mysql_local"] == before["mysql_local"]
    elif pointer == "cluster" or not world.container:
        assert edge.maintenance["mysql_local"]
    elif world.fenced is not None:
        assert edge.maintenance["mysql_local"] == world.fenced
    else:
        assert edge.maintenance["mysql_local"] == before["mysql_local"]
    # A fence never keeps the cluster from its source.
    assert edge.maintenance["mysql_source"] == (world.container is None)
    # A hold has an owner, or time left.
    if edge.limit_now == 0:
        assert marker is not None
        assert flips or marker.hold_ends >= world.now
    # Nobody else is let in, now and after a restart.
    wanted = {"127.0.0.0/8", "10.0.0.10/32", "10.1.0.0/16", *world.networks}
    assert edge.clients == wanted == set(world.paths.clients.read_text().split())
    # And then there is nothing left to do.
    edge.calls = 0
    world.turn()
    assert edge.calls == 0


def test_while_docker_does_not_answer_all_stays_as_it_was(world: World) -> None:
    world.container, world.networks = "172.18.0.2", ["172.18.0.0/16"]
    world.turn()
    world.docker_answers, world.container, world.networks = False, None, []
    world.edge.calls = 0
    world.turn()
    assert world.edge.calls == 0
    assert world.said[-1] == "docker did not answer"
    # Nor does a follower that starts meanwhile change anything.
    world.follower = world.new_follower()
    world.turn()
    assert world.edge.calls == 0


def test_clients_of_a_member_that_is_down_are_let_go(world: World) -> None:
    def member(name: str, up: bool) -> Server:
        return Server("mysql_cluster", name, "10.0.0.11", 3306, maintenance=False, up=up)

    world.edge.members = [member("db1", False), member("db2", True), member("db3", False)]
    world.edge.sessions = {"db1": 3, "db2": 5, "db3": 0}
    world.turn()
    assert world.edge.cut == [("mysql_cluster", "db1")]


class TestTend:
    def tended(self, world: World) -> list[tuple[str, int]]:
        calls: list[tuple[str, int]] = []
        world.follower.tends = {"mysql": lambda address, port: calls.append((address, port))}
        return calls

    def test_a_container_that_runs_is_tended_at_once_and_then_every_few_seconds(self, world: World) -> None:
        calls = self.tended(world)
        world.container = "172.18.0.2"
        world.follower.look()
        world.follower.tend()
        world.follower.tend()
        assert calls == [("172.18.0.2", 3306)]
        world.now += following.TEND_SECONDS
        world.follower.tend()
        assert len(calls) == 2

    def test_whatever_docker_tells_it_is_tended_at_once(self, world: World) -> None:
        calls = self.tended(world)
        world.container = "172.18.0.2"
        for _ in range(2):
            world.follower.look()
            world.follower.tend()
        assert len(calls) == 2

    def test_what_does_not_run_is_left_alone(self, world: World) -> None:
        calls = self.tended(world)
        world.follower.look()
        world.follower.tend()
        assert not calls


def test_trouble_is_told_once_and_so_is_its_end(world: World) -> None:
    world.edge.running = False
    for _ in range(3):
        world.turn()
    world.edge.running = True
    for _ in range(3):
        world.turn()
    assert world.said.count("the edge does not answer") == 1
    assert world.said.count("edge: answers again") == 1


def test_a_pointer_that_cannot_be_read_is_told_and_not_guessed(world: World) -> None:
    world.container = "172.18.0.2"
    world.paths.pointer("mysql").write_text("mysql nowhere\n")
    world.turn()
    assert "instead of 'mysql local' or 'mysql cluster'" in world.said[-1]
    assert not world.edge.maintenance["mysql_local"]


class TestForgetMembers:
    ROW = "4 mysql_cluster 1 db1 10.0.0.11 2 0 1 1 1 8 2 4 6 0 0 0 - 3306 - 0 9200 - - 9200"

    def test_members_are_stopped(self) -> None:
        words = forget_members(self.ROW + "\n").split()
        assert (words[5], words[12]) == ("0", "0")
        assert (
            words[:5] + words[6:12] + words[13:]
            == self.ROW.split()[:5] + self.ROW.split()[6:12] + self.ROW.split()[13:]
        )

    @pytest.mark.parametrize(
        "row",
        ["1", ROW.replace("mysql_cluster", "mysql_local"), ROW.replace("db1", "waiting"), "# be_id be_name srv_id"],
    )
    def test_all_else_stays(self, row: str) -> None:
        assert forget_members(row) == row + "\n"


class TestRun:
    """The loop, with a docker command that is a program of the test."""

    def program(self, tmp_path: Path, text: str) -> Docker:
        path = tmp_path / "docker.py"
        path.write_text(text, encoding="utf-8")
        return Docker(command=[sys.executable, str(path)])

    def test_an_event_makes_it_look_at_once(self, world: World, tmp_path: Path) -> None:
        flag = tmp_path / "event"
        os.mkfifo(flag)
        program = f"print(open({str(flag)!r}).read(), flush=True); import time; time.sleep(60)"
        world.follower.docker.events = self.program(tmp_path, program).events  # type: ignore[method-assign]
        looked = []
        world.follower.look = lambda: looked.append(time.monotonic())  # type: ignore[method-assign]
        stopped = threading.Event()
        loop = threading.Thread(target=following.run, args=(world.follower, stopped.is_set, 0.05, 3600.0))
        loop.start()
        try:
            eventually(lambda: len(looked) == 1)
            flag.write_text("{}")
            eventually(lambda: len(looked) >= 2, 30.0)
        finally:
            stopped.set()
            loop.join()

    def test_events_that_ended_are_asked_for_again(self, world: World, tmp_path: Path) -> None:
        count = tmp_path / "count"
        world.follower.docker.events = self.program(  # type: ignore[method-assign]
            tmp_path, f"open({str(count)!r}, 'a').write('.')"
        ).events
        stopped = threading.Event()
        loop = threading.Thread(target=following.run, args=(world.follower, stopped.is_set, 1.0, 3600.0))
        loop.start()
        try:
            eventually(lambda: count.exists() and len(count.read_text()) > 1)
        finally:
            stopped.set()
            loop.join()

    def test_without_docker_it_goes_on(self, world: World) -> None:
        def refuse(*words: object) -> None:
            raise FileNotFoundError("docker")

        world.follower.docker.events = refuse  # type: ignore[method-assign, assignment]
        turns = []
        following.run(world.follower, lambda: turns.append(1) or len(turns) > 3, 0.001)  # type: ignore[func-returns-value]
        assert world.edge.clients >= {"10.1.0.0/16"}


def eventually(check: object, seconds: float = 10.0) -> None:
    ends = time.monotonic() + seconds
    while not check():  # type: ignore[operator]
        assert time.monotonic() < ends, "it did not come true in time"
        time.sleep(0.01)
