# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A world of Redis servers in memory: a container that boots closed, three members, their Sentinels, and a door.

Time is virtual. Every command to a server passes through World.command(), which lets time pass, lets replication and
clients go on, and makes the fault happen that the test put at that command.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.redis_cluster import ClusterEnd
from ansible_collections.tutorops.scale.plugins.module_utils.redis_local import LocalEnd
from ansible_collections.tutorops.scale.plugins.module_utils.redis_settings import RedisSettings
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Unreachable

EDGE, CONTAINER = "10.0.0.10", "172.18.0.5"
ADDRESSES = {"one": "10.0.0.11", "two": "10.0.0.12", "three": "10.0.0.13"}
NAMES = {(address, 6379): name for name, address in ADDRESSES.items()}
NOBODY = ("127.0.0.1", 1)

RAISE = "the answer never comes, nothing is done"
RAISE_AFTER = "it is done, and the answer is lost"
CRASH = "the driver dies before"
CRASH_AFTER = "the driver dies after"
RESTART = "the container restarts before"
RESTART_AFTER = "the container restarts after"
POWER = "the app server loses power before"
POWER_AFTER = "the app server loses power after"
FAULTS = (RAISE, RAISE_AFTER, CRASH, CRASH_AFTER, RESTART, RESTART_AFTER, POWER, POWER_AFTER)


class Crash(BaseException):
    """The process that runs the flip is gone."""


class TwoEndsWritable(BaseException):
    """What must never be; nothing but the test may catch it."""


class Inline:
    """An executor that does it at once, so that a test can be repeated."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def submit(self, work: Callable[..., Any], *words: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*words))
        return future


_replids = (f"{number:040x}" for number in itertools.count(1))


@dataclass(eq=False)
class FakeServer:
    """One Redis. What it keeps over a restart is its data and its file."""

    name: str
    boot: Callable[[FakeServer], tuple[tuple[str, int] | None, int]]
    data: list[int] = field(default_factory=list)
    follows: tuple[str, int] | None = None
    fence: int = 0
    paused: bool = False
    link_up: bool = False
    replid: str = ""
    replid2: str = "0" * 40
    second: int = -1
    kept: tuple[tuple[str, int] | None, int] = (NOBODY, 99)
    good: int = 0
    queue: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Come up as the file says. A history that was in memory only is a new one."""
        self.follows, self.fence = self.boot(self)
        self.link_up = self.paused = False
        self.replid, self.replid2, self.second = next(_replids), "0" * 40, -1

    @property
    def writable(self) -> bool:
        return self.follows is None and not self.paused and self.fence <= self.good

    def info(self) -> str:
        offset = len(self.data)
        lines = [
            f"role:{'slave' if self.follows else 'master'}", f"master_replid:{self.replid}",
            f"master_replid2:{self.replid2}", f"second_repl_offset:{self.second}", f"master_repl_offset:{offset}",
            f"slave_repl_offset:{offset}", f"min_slaves_good_slaves:{self.good}", "redis_version:8.0.2",
            f"master_link_status:{'up' if self.link_up else 'down'}", "repl_backlog_first_byte_offset:1",
            f"db0:keys={len(self.data)},expires=0",
        ]  # fmt: skip
        if self.follows:
            lines += [f"master_host:{self.follows[0]}", f"master_port:{self.follows[1]}"]
        return "\r\n".join(lines)


class World:
    """Everything, and what goes wrong in it."""

    def __init__(self, folder: Path, faults: dict[int, str] | None = None) -> None:
        self.now = 0.0
        self.faults = dict(faults or {})
        self.commands = 0
        self.log: list[str] = []
        self.numbers = itertools.count(1)
        self.acknowledged: list[int] = []
        self.pointer = self.route = "local"
        self.held = False
        self.container = FakeServer("local", lambda _: (NOBODY, 0))
        self.members = {name: FakeServer(name, lambda server: server.kept) for name in ADDRESSES}
        self.watched: dict[str, tuple[str, int] | None] = dict.fromkeys(ADDRESSES)
        boot = folder / "env/apps/redis/redis.conf"
        boot.parent.mkdir(parents=True, exist_ok=True)
        boot.write_text("appendonly yes\nreplicaof 127.0.0.1 1\n")
        self.settings = RedisSettings.from_dict(settings(folder))
        self.local, self.cluster = self.ends()
        self.container.follows = None
        for name, server in self.members.items():
            server.follows = (EDGE, 16379) if name == "one" else (ADDRESSES["one"], 6379)
            server.kept = (server.follows, 99)
            server.fence = 99
        self.door = FakeDoor(self)
        for _ in range(20):
            self.tick()

    def ends(self) -> tuple[LocalEnd, ClusterEnd]:
        """Ends of a process that has just begun."""
        docker: Any = type("Docker", (), {"address": lambda *_: CONTAINER})()
        connect: Any = self.connect
        return (
            LocalEnd(self.settings, docker, connect, self.clock, self.wait),
            ClusterEnd(self.settings, connect, self.clock, self.wait),
        )

    # Time

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        # Polling a time-out away by its own small steps would take this world's time, not Redis's.
        self.now += max(seconds, 0.02)
        self.tick()

    def tick(self) -> None:
        """Replication goes on, and clients write."""
        self.now += 0.001
        servers = (self.container, *self.members.values())
        for _ in range(2):
            for server in servers:
                self.replicate(server)
        for server in servers:
            server.good = 0
        for server in servers:
            if server.link_up and (source := self.source(server)) is not None:
                source.good += 1
        local, members = self.container.writable, [one for one in self.members.values() if one.writable]
        if local and members:
            raise TwoEndsWritable("\n".join(self.log))
        if not self.held:
            for server in [self.container] if self.route == "local" else members[:1]:
                self.write(server)
        # Clients that go around the door.
        for server in [self.container, *self.members.values()]:
            self.write(server)

    def write(self, server: FakeServer) -> None:
        if server.writable:
            number = next(self.numbers)
            server.data.append(number)
            self.acknowledged.append(number)

    def replicate(self, server: FakeServer) -> None:
        source = self.source(server)
        server.link_up = False
        if source is None or not (source.follows is None or source.link_up):
            return
        held, has = len(server.data), len(source.data)
        # Numbers are never used twice, so the last one tells whether all before it are the same.
        if held > has or (held and source.data[held - 1] != server.data[-1]):
            server.data.clear()
        server.data += source.data[len(server.data) :]
        server.replid, server.link_up = source.replid, True

    def source(self, server: FakeServer) -> FakeServer | None:
        if server.follows is None:
            return None
        if server.follows == (EDGE, 16379):
            return self.container
        if server.follows == (EDGE, 16380):
            return next((one for one in self.members.values() if one.follows and one.link_up), None)
        name = NAMES.get(server.follows)
        return self.members[name] if name else None

    def restart(self) -> None:
        """The container restarts, and the follower opens it when the pointer names it and no flip is under way."""
        self.container.start()

    # Commands

    def connect(self, host: str, port: int, **_: Any) -> FakeConnection:
        if port == 26379:
            return FakeConnection(self, None, next(name for name, one in ADDRESSES.items() if one == host))
        if host == CONTAINER:
            return FakeConnection(self, self.container, "local")
        name = next(name for name, one in ADDRESSES.items() if one == host)
        return FakeConnection(self, self.members[name], name)

    def command(self, where: str, words: tuple[Any, ...], effect: Callable[[], Any]) -> Any:
        """Run a command, with the fault that the test put there."""
        self.commands += 1
        fault = self.faults.pop(self.commands, None)
        self.log.append(f"{self.commands:4d} {where} {' '.join(map(str, words))[:60]} {fault or ''}")
        self.tick()
        before = fault in (RAISE, CRASH, RESTART, POWER)
        if not before:
            answer = effect()
            self.tick()
        if fault in (RESTART, RESTART_AFTER, POWER, POWER_AFTER):
            self.restart()
        if fault in (POWER, POWER_AFTER):
            self.door.reboot()
        if fault in (CRASH, CRASH_AFTER, POWER, POWER_AFTER):
            raise Crash
        if fault in (RAISE, RAISE_AFTER) or (fault in (RESTART, RESTART_AFTER) and where == "local"):
            raise Unreachable(f"{where} does not answer")
        return effect() if before else answer


class FakeConnection:
    """What redis_client.Connection is to the ends."""

    def __init__(self, world: World, server: FakeServer | None, name: str) -> None:
        self.world = world
        self.server = server
        self.name = name

    def call(self, *words: Any) -> Any:
        where = self.name if self.server is not None else f"sentinel {self.name}"
        effect = self._redis if self.server is not None else self._sentinel
        return self.world.command(where, words, lambda: effect(*words))

    def text(self, *words: Any) -> str:
        return str(self.call(*words))

    def close(self) -> None:
        pass

    def __enter__(self) -> FakeConnection:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _redis(self, *words: Any) -> Any:
        server = self.server
        assert server is not None
        match [str(word) for word in words]:
            case ["INFO", *_]:
                return server.info()
            case ["CONFIG", "GET", name]:
                return [name.encode(), str(server.fence if name == "min-replicas-to-write" else 0).encode()]
            case ["CONFIG", "SET", "min-replicas-to-write", value]:
                server.fence = int(value)
            case ["CONFIG", "REWRITE"]:
                server.kept = (server.follows, server.fence)
            case ["REPLICAOF", "NO", "ONE"]:
                if server.follows is not None:
                    server.replid2, server.second = server.replid, len(server.data) + 1
                    server.follows, server.replid = None, next(_replids)
            case ["REPLICAOF", host, port]:
                server.follows, server.paused = (host, int(port)), False
            case ["CLIENT", "PAUSE", *_]:
                server.paused = True
            case ["CLIENT", "UNPAUSE"]:
                server.paused = False
            case ["CLIENT", "LIST"]:
                return "id=1 addr=172.18.0.1:5 user=openedx flags=b cmd=brpop idle=1 multi=-1 qbuf=0"
            case ["SMEMBERS", _]:
                return []
            case ["CONFIG", "SET", *_] | ["ACL", *_] | ["PING"]:
                pass
            case other:
                raise AssertionError(f"no such command here: {other}")
        return b"OK"

    def _sentinel(self, *words: Any) -> Any:
        watched = self.world.watched
        match [str(word) for word in words]:
            case ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", _]:
                found = watched[self.name]
                return [found[0].encode(), str(found[1]).encode()] if found else None
            case ["SENTINEL", "MONITOR", _, host, port, _]:
                watched[self.name] = (host, int(port))
            case ["SENTINEL", "REMOVE", _]:
                watched[self.name] = None
            case ["SENTINEL", "MASTER", _] | ["SENTINEL", "SET", *_]:
                return []
            case other:
                raise AssertionError(f"no such command here: {other}")
        return b"OK"


class FakeDoor:
    """A pointer on a disk, a route, and a hold that ends with its owner."""

    def __init__(self, world: World) -> None:
        self.world = world

    def reboot(self) -> None:
        """HAProxy begins again with what the pointer says."""
        self.world.route = self.world.pointer

    def pointer(self) -> str:
        return self.world.pointer

    def decide(self, end: str) -> None:
        def write() -> None:
            self.world.pointer = end

        self.world.command("door", ("decide", end), write)

    def hold(self, seconds: float = 6.0) -> None:
        self.world.held = True

    def release(self) -> None:
        self.world.held = False

    def connections(self) -> int:
        return 0

    def drop(self) -> None:
        self.world.tick()

    def point(self, end: str) -> None:
        self.world.route = end


def settings(folder: Path) -> dict[str, Any]:
    """What /etc/tutorops/stores/redis.json would hold."""
    return {
        "edge_address": EDGE, "compose_project": "tutor_local", "tutor_root": str(folder), "source_port": 16379,
        "way_back_port": 16380, "source": {"service": "redis", "port": 6379},
        "cluster": {
            "members": [{"name": name, "address": address} for name, address in ADDRESSES.items()],
            "sentinel_name": "openedx", "admin_user": "tutorops", "admin_password": "admin-secret",
            "replication_user": "tutorops_repl", "replication_password": "repl-secret",
            "sentinel_user": "tutorops_sentinel", "sentinel_password": "sentinel-secret",
        },
        "application": {"user": "openedx", "password": "appsecret"}, "tls": {"ca": "/ca.pem"},
        "state_directory": str(folder / "state"),
    }  # fmt: skip


def tend(world: World) -> None:
    """What the follower does between stages (redis_tend.py): open the container when the pointer names it."""
    if world.pointer == "local":
        try:
            world.ends()[0].open()
        except StoreError:
            return
