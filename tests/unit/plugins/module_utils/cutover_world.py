# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A world to run the cutover in: two ends, a door, clients that write all the time, and things that go wrong.

Time is virtual. Every call into an end or the door passes through World.call(), which lets time pass, lets clients
write, and makes the fault happen that the test put at that call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import (
    NotCaughtUp,
    Session,
    StoreError,
    Unreachable,
)

RAISE = "raises, nothing done"
RAISE_AFTER = "raises, done all the same"
OTHER = "raises what is no StoreError"
LIE = "claims to be done"
HANG = "hangs, then does it"
HANG_RAISE = "hangs, then raises"
CRASH = "the process dies before"
CRASH_AFTER = "the process dies after"
POWER = "the machine loses power before"
POWER_AFTER = "the machine loses power after"
FAULTS = (RAISE, RAISE_AFTER, OTHER, LIE, HANG, HANG_RAISE, CRASH, CRASH_AFTER, POWER, POWER_AFTER)
#: What the algorithm takes as the truth (see its module), and a release, whose lie nothing in one process could see.
TRUTHFUL = {"closed", "point", "position", "reach", "pointer", "sessions", "connections", "release"}


class Crash(BaseException):
    """The process that runs the flip is gone."""


class PowerLoss(Crash):
    """The whole app server is gone."""


class TwoEndsWritable(BaseException):
    """What must never be; nothing but the test may catch it."""


@dataclass
class Timer:
    due: float
    action: Callable[[], None]
    live: bool = True


class World:
    def __init__(self, faults: dict[int, str], lag: float = 0.01, long_work: float = 0.0, hang: float = 7.0) -> None:
        self.now = 0.0
        self.faults = faults
        self.lag = lag
        self.hang = hang
        self.calls = 0
        self.log: list[str] = []
        self.timers: list[Timer] = []
        self.acknowledged: set[int] = set()
        self.next_write = 0
        self.held_since: float | None = None
        self.longest_hold = 0.0
        self.release_faulted = False
        self.busy_until = long_work
        self.local = FakeEnd("local", self, writable=True)
        self.cluster = FakeEnd("cluster", self, writable=False)
        self.door = FakeDoor(self)
        self.cluster.source = self.local

    @property
    def ends(self) -> dict[str, FakeEnd]:
        return {"local": self.local, "cluster": self.cluster}

    # time

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.advance(max(seconds, 0.001))

    def guard(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        timer = Timer(self.now + seconds, action)
        self.timers.append(timer)

        def stop() -> None:
            timer.live = False

        return stop

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while due := sorted((one for one in self.timers if one.live and one.due <= until), key=lambda one: one.due):
            self.now = max(self.now, due[0].due)
            due[0].live = False
            # An exception ends a timer's thread, and nothing else.
            with contextlib.suppress(Exception):
                due[0].action()
        self.now = max(self.now, until)
        self.clients()

    # clients

    def clients(self) -> None:
        """One client comes through the door, and one goes to each end past the door: both write."""
        if sum(end.writable for end in self.ends.values()) > 1:
            raise TwoEndsWritable("\n".join(self.log))
        if not self.door.held:
            self.write(self.ends[self.door.route])
        for end in self.ends.values():
            self.write(end)
        for end in self.ends.values():
            if end.source is not None and not end.source.log <= end.log and self.now - end.source.last_write > self.lag:
                end.log |= end.source.log
        if self.door.held:
            assert self.held_since is not None
            self.longest_hold = max(self.longest_hold, self.now - self.held_since)

    def write(self, end: FakeEnd) -> None:
        if end.writable:
            self.next_write += 1
            end.log.add(self.next_write)
            end.last_write = self.now
            self.acknowledged.add(self.next_write)

    # calls

    @contextlib.contextmanager
    def call(self, name: str, timeout: float | None = None) -> Iterator[Callable[[Callable[[], Any]], Any]]:
        """Used as `with world.call("end.method") as do: return do(effect)`."""
        self.calls += 1
        fault = self.faults.pop(self.calls, None)
        method = name.split(".")[1]
        if fault == LIE and method in TRUTHFUL:
            fault = RAISE
        if fault is not None and method == "release":
            self.release_faulted = True
        self.log.append(f"{self.now:8.3f} {self.calls:3d} {name} {fault or ''}")
        self.advance(0.001)

        def do(effect: Callable[[], Any]) -> Any:
            if fault == RAISE:
                raise Unreachable(f"{name} failed")
            if fault == OTHER:
                raise RuntimeError(f"{name} failed oddly")
            if fault == LIE:
                return None
            if fault in (HANG, HANG_RAISE):
                self.advance(self.hang)
                if fault == HANG_RAISE:
                    raise Unreachable(f"{name} did not answer")
            if fault in (CRASH, POWER):
                raise PowerLoss if fault == POWER else Crash
            result = effect()
            self.clients()
            if fault == RAISE_AFTER:
                raise Unreachable(f"{name} lost the answer")
            if fault in (CRASH_AFTER, POWER_AFTER):
                raise PowerLoss if fault == POWER_AFTER else Crash
            return result

        yield do

    def died(self, crash: Crash) -> None:
        """What is left when the process, or the machine, is gone. The follower ends a hold whose owner has died."""
        self.timers.clear()
        if isinstance(crash, PowerLoss):
            self.door.reboot()
        self.door.held = False
        self.held_since = None


@dataclass(eq=False)
class FakeEnd:
    name: str
    world: World
    writable: bool
    log: set[int] = field(default_factory=set)
    last_write: float = 0.0
    source: FakeEnd | None = None

    def closed(self) -> bool:
        with self.world.call(f"{self.name}.closed") as do:
            return bool(do(lambda: not self.writable))

    def close(self, timeout: float) -> None:
        with self.world.call(f"{self.name}.close") as do:
            do(lambda: self._set(False))

    def open(self) -> None:
        with self.world.call(f"{self.name}.open") as do:
            do(lambda: self._set(True))

    def _set(self, writable: bool) -> None:
        self.writable = writable

    def position(self) -> str:
        with self.world.call(f"{self.name}.position") as do:
            return ",".join(map(str, sorted(do(lambda: set(self.log)))))

    def reach(self, position: str, timeout: float) -> None:
        def apply() -> None:
            wanted = set(map(int, position.split(","))) if position else set()
            if not wanted <= self.log:
                if self.source is None or not wanted <= self.source.log or self.world.lag > timeout:
                    self.world.advance(timeout)
                    raise NotCaughtUp(f"{self.name} lacks {len(wanted - self.log)} writes")
                self.world.advance(self.world.lag)
                self.log |= wanted

        with self.world.call(f"{self.name}.reach") as do:
            do(apply)

    def sessions(self) -> list[Session]:
        with self.world.call(f"{self.name}.sessions") as do:
            return list(do(self._sessions))

    def _sessions(self) -> list[Session]:
        pool = Session("app", "10.0.0.10", 600.0, False)
        working = Session("app", "10.0.0.10", 0.0, True)
        return [pool, working] if self.world.now < self.world.busy_until else [pool]

    def follow(self, other: Any) -> None:
        def start() -> None:
            if self.writable:
                raise StoreError(f"{self.name} takes writes: it cannot follow")
            if not self.log <= other.log:
                raise StoreError(f"{self.name} holds writes that {other.name} lacks: the ends have diverged")
            self.source = other

        with self.world.call(f"{self.name}.follow") as do:
            do(start)

    def unfollow(self) -> None:
        def stop() -> None:
            self.source = None

        with self.world.call(f"{self.name}.unfollow") as do:
            do(stop)


class FakeDoor:
    def __init__(self, world: World) -> None:
        self.world = world
        self.visible = self.durable = self.route = "local"
        self.held = False
        self.torn = False

    def reboot(self) -> None:
        """The page cache is gone, and HAProxy reads the pointer from the disk."""
        self.visible = self.durable
        self.route = self.visible

    def pointer(self) -> str:
        def read() -> str:
            self.durable = self.visible
            return self.visible

        with self.world.call("door.pointer") as do:
            return str(do(read))

    def decide(self, end: str) -> None:
        def write() -> None:
            self.visible = end
            if self.torn:
                raise StoreError("fsync failed")
            self.durable = end

        with self.world.call("door.decide") as do:
            do(write)

    def hold(self, seconds: float = 6.0) -> None:
        def hold() -> None:
            self.held = True
            self.world.held_since = self.world.now

        with self.world.call("door.hold") as do:
            do(hold)

    def release(self) -> None:
        def release() -> None:
            self.held = False
            self.world.held_since = None

        with self.world.call("door.release") as do:
            do(release)

    def connections(self) -> int:
        with self.world.call("door.connections") as do:
            return int(do(lambda: 1 if self.world.now < self.world.busy_until else 0))

    def drop(self) -> None:
        with self.world.call("door.drop") as do:
            do(lambda: None)

    def point(self, end: str) -> None:
        def point() -> None:
            self.route = end

        with self.world.call("door.point") as do:
            do(point)
