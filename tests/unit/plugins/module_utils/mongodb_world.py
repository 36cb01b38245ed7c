# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replica set as far as drivers of it can tell, clients that work all the time, and things that go wrong.

Time is virtual. Every command passes through World.call(), which lets time pass and makes the fault happen that the
test put at that call. What MongoDB refuses is refused here: two votes at once, a primary that could not be elected, a
change while the one before has no majority.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import total_ordering
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.cutover import Limits
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import MongodbError
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_config import CLOSED, OPEN, new_member, seats
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_move import Move, in_end
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_set import ReplicaSet
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Unreachable

LOCAL_HOST = "10.0.0.1:27117"
MEMBERS = ("10.0.0.11:27017", "10.0.0.12:27017", "10.0.0.13:27017")
LIMITS = Limits(settle_seconds=20.0)

RAISE = "raises, nothing done"
RAISE_AFTER = "raises, done all the same"
OTHER = "raises what is no StoreError"
HANG = "takes seconds"
CRASH = "the driver dies before"
CRASH_AFTER = "the driver dies after"
DOWN = "the server that is asked goes down for seconds"
FAULTS = (RAISE, RAISE_AFTER, OTHER, HANG, CRASH, CRASH_AFTER, DOWN)


class Crash(BaseException):
    """The process that runs the driver is gone."""


class Broken(BaseException):
    """What must never be; nothing but the test may catch it."""


@total_ordering
@dataclass(frozen=True)
class Moment:
    time: int
    inc: int = 0

    def __lt__(self, other: Moment) -> bool:
        return (self.time, self.inc) < (other.time, other.inc)


@dataclass
class Node:
    up_at: float = 0.0
    resting_until: float = 0.0
    state: str = "SECONDARY"
    copied_at: float = 0.0
    process: int = 1


@dataclass
class World:
    """The set, the door, and the pause; ``faults`` by the number of the call."""

    faults: dict[int, str] = field(default_factory=dict)
    serving: str = "local"
    now: float = 0.0
    calls: int = 0
    log: list[str] = field(default_factory=list)
    #: Until when an operation of a client is at work even while everything is held.
    busy_until: float = 0.0
    elects: bool = True
    version: str = "7.0.28"

    def __post_init__(self) -> None:
        members = [new_member(0, LOCAL_HOST, OPEN if self.serving == "local" else CLOSED)]
        for number, host in enumerate(MEMBERS, 1):
            members.append(new_member(number, host, CLOSED if self.serving == "local" else OPEN))
        self.config: dict[str, Any] = {"_id": "tutorops", "version": 7, "term": 1, "members": members}
        self.committed_at = 0.0
        self.nodes = {host: Node() for host in (LOCAL_HOST, *MEMBERS)}
        self.primary: str | None = LOCAL_HOST if self.serving == "local" else MEMBERS[0]
        self.door = Door(self)
        self.guarded = False
        self.election_due: float | None = None
        self.accounts: dict[str, str] = {}
        self.restarts: list[str] = []

    # Time

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)
        self._elect()

    def call(self, what: str, act: Callable[[], Any], host: str | None = None) -> Any:
        self.calls += 1
        fault = self.faults.get(self.calls)
        self.log.append(f"{self.calls} {self.now:.3f} {what}" + (f" [{fault}]" if fault else ""))
        self.wait(0.002)
        if fault == CRASH:
            raise Crash(what)
        if fault == OTHER:
            raise RuntimeError(what)
        if fault == DOWN and host is not None:
            self.nodes[host].up_at = self.now + 6.0
        if host is not None and not self._up(host):
            self.wait(1.0)
            raise Unreachable(f"{host} does not answer")
        if fault == RAISE:
            raise Unreachable(f"{what} got no answer")
        if fault == HANG:
            self.wait(4.0)
        try:
            found = act()
        finally:
            if fault == CRASH_AFTER:
                raise Crash(what)
        if fault == RAISE_AFTER:
            raise Unreachable(f"{what} got no answer")
        return found

    # The set

    def _up(self, host: str) -> bool:
        return self.now >= self.nodes[host].up_at

    def _majority(self) -> bool:
        voters = [host for host, one in seats(self.config).items() if one.votes]
        return sum(self._up(host) for host in voters) * 2 > len(voters)

    def _elect(self) -> None:
        """A primary that is down, or has no majority, is replaced after a while."""
        if self.primary is not None and (not self._up(self.primary) or not self._majority()):
            self.primary, self.election_due = None, self.now + 5.0
        if self.primary is None and self.election_due is not None and self.now >= self.election_due and self.elects:
            self._lead(lambda host: True)

    def _lead(self, allowed: Callable[[str], bool]) -> bool:
        able = [
            (one.priority, host)
            for host, one in seats(self.config).items()
            if one.open and self._up(host) and self.now >= self.nodes[host].resting_until and allowed(host)
        ]
        if not able or not self._majority():
            return False
        best = max(priority for priority, _ in able)
        self.primary = next(host for priority, host in able if priority == best)
        self.election_due = None
        # A new primary confirms its term before it takes another configuration.
        self.committed_at = self.now + 1.0
        return True

    def reconfigure(self, host: str, wanted: dict[str, Any], force: bool) -> dict[str, Any]:
        if force:
            self.config = {**copy.deepcopy(wanted), "term": self.config["term"]}
            self.primary, self.election_due = None, self.now + 5.0
            return {"ok": 1}
        if host != self.primary:
            raise MongodbError("not primary", 10107)
        if self.now < self.committed_at:
            raise MongodbError("the current configuration is not committed yet", 109)
        before, after = seats(self.config), seats(wanted)
        if wanted["version"] != self.config["version"] + 1:
            raise MongodbError("the version must be higher", 103)
        voters = [{name for name, one in these.items() if one.votes} for these in (before, after)]
        if len(voters[0] ^ voters[1]) > 1:
            raise MongodbError("more than one vote changes", 103)
        if host not in after or not after[host].open:
            raise MongodbError("the primary would not be electable", 104)
        if any((one.priority > 0 and not one.votes) or (one.hidden and one.priority > 0) for one in after.values()):
            raise MongodbError("a member without a vote has a priority", 93)
        self.config = {**copy.deepcopy(wanted), "term": self.config["term"]}
        self.committed_at = self.now + 0.5
        for name in after:
            # A new member copies for a while.
            if name not in before:
                self.nodes[name].copied_at = self.now + 3.0
        return {"ok": 1}

    def step_down(self, host: str, seconds: float) -> dict[str, Any]:
        if host != self.primary:
            raise MongodbError("not primary", 10107)
        if self.guarded and (self.busy_until > self.now or not self.door.pause.holds()):
            raise Broken("the primary steps down while operations are at work\n" + "\n".join(self.log))
        self.nodes[host].resting_until = self.now + seconds
        self.primary, self.election_due = None, self.now + 5.0
        if not self.elects or not self._lead(lambda name: name != host):
            self.primary = None
        return {"ok": 1}

    def command(self, host: str, name: str, value: Any, options: dict[str, Any]) -> dict[str, Any]:
        node = self.nodes[host]
        if name == "hello":
            return {"isWritablePrimary": host == self.primary, "topologyVersion": {"processId": node.process}}
        if name == "buildInfo":
            return {"version": self.version}
        listed = host in seats(self.config)
        if name == "ping":
            return {"ok": 1}
        if name in ("replSetGetStatus", "replSetGetConfig") and not listed:
            raise MongodbError("no replset config has been received", 94)
        if name == "replSetGetStatus":
            return self._status(host)
        if name == "replSetGetConfig":
            if options.get("commitmentStatus") and host != self.primary:
                raise MongodbError("not primary", 10107)
            done = self.now >= self.committed_at and self._majority()
            return {"config": copy.deepcopy(self.config), "commitmentStatus": done}
        if name == "replSetReconfig":
            return self.reconfigure(host, value, bool(options.get("force")))
        if name == "replSetStepDown":
            return self.step_down(host, float(value))
        if name == "replSetFreeze":
            node.resting_until = 0.0
            return {"ok": 1}
        if name == "replSetInitiate":
            self.config = {**copy.deepcopy(value), "term": 1}
            self._lead(lambda one: True)
            return {"ok": 1}
        if name == "shutdown":
            self.restarts.append(host)
            node.up_at, node.process = self.now + 2.0, node.process + 1
            raise Unreachable(f"{host} closed the connection")
        return self._account(host, name, value, options)

    def _account(self, host: str, name: str, value: Any, options: dict[str, Any]) -> dict[str, Any]:
        if name == "usersInfo":
            return {"users": [{"user": one} for one in self.accounts if one == value["user"]]}
        if name in ("createUser", "updateUser"):
            if host != self.primary:
                raise MongodbError("not primary", 10107)
            self.accounts[value] = options["pwd"]
            return {"ok": 1}
        raise AssertionError(name)

    def _status(self, host: str) -> dict[str, Any]:
        moment = {"ts": Moment(int(self.now))}
        state = "PRIMARY" if host == self.primary else self.nodes[host].state
        if self.now < self.nodes[host].copied_at:
            state = "STARTUP2"
        own = {"self": True, "stateStr": state, "name": host}
        return {
            "set": "tutorops",
            "members": [own],
            "optimes": {"lastCommittedOpTime": moment, "appliedOpTime": moment},
            "initialSyncStatus": {"approxTotalBytesCopied": 512},
        }

    # What the driver sees

    def connect(self, host: str) -> Any:
        return FakeClient(self, host)

    def members(self) -> ReplicaSet:
        def in_turn(ask: Callable[[str], Any], hosts: Sequence[str]) -> Iterator[tuple[str, Any]]:
            return ((host, ask(host)) for host in hosts)

        return ReplicaSet((LOCAL_HOST, *MEMBERS), self.connect, self.clock, self.wait, in_turn)

    def move(self) -> Move:
        return Move(self.members(), LOCAL_HOST, self.door, self.door.pause, 30.0, 5.0, self.clock, self.wait)


@dataclass
class FakeClient:
    world: World
    host: str

    def command(self, name: str, value: Any = 1, database: str = "admin", **options: Any) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            return self.world.command(self.host, name, value, options)

        found: dict[str, Any] = self.world.call(f"{name} on {self.host}", act, self.host)
        return found

    def aggregate(self, pipeline: Sequence[dict[str, Any]], database: str = "admin") -> list[dict[str, Any]]:
        def act() -> list[dict[str, Any]]:
            world = self.world
            at_work = world.now < world.busy_until or not world.door.pause.holds()
            one = {"client": "10.0.0.1:1", "active": True, "op": "insert", "ns": "openedx.x", "command": {"insert": 1}}
            return [one] if at_work else []

        found: list[dict[str, Any]] = self.world.call(f"operations on {self.host}", act, self.host)
        return found


class Hold:
    """A hold that ends by itself."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.until = 0.0
        self.longest = 0.0
        self.drained_at = 0.0

    def holds(self) -> bool:
        return self.world.now < self.until

    def hold(self, *given: Any) -> None:
        def act() -> None:
            self.until = self.world.now + float(given[-1])
            self.longest = max(self.longest, float(given[-1]))

        self.world.call(f"hold {self.name}", act)

    def drained(self) -> bool:
        return bool(self.world.call(f"drained {self.name}", lambda: self.world.now >= self.drained_at))

    def check(self) -> None:
        """It can be had."""

    def release(self) -> None:
        def act() -> None:
            self.until = 0.0

        self.world.call(f"release {self.name}", act)


class Door:
    """The pointer and the holds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.serving = world.serving
        self.pointed = world.serving
        self.requests = Hold(world, "requests")
        self.pause = Hold(world, "packets")

    def pointer(self) -> str:
        return self.serving

    def decide(self, end: str) -> None:
        def act() -> None:
            leader = self.world.primary
            if leader is not None and not in_end(leader, LOCAL_HOST, end):
                raise Broken(f"the pointer goes to {end} while {leader} leads\n" + "\n".join(self.world.log))
            self.serving = end

        self.world.call(f"decide {end}", act)

    def point(self, end: str) -> None:
        def act() -> None:
            self.pointed = end

        self.world.call(f"point {end}", act)

    def hold(self, seconds: float = 6.0) -> None:
        self.requests.hold(seconds)

    def release(self) -> None:
        self.requests.release()

    def connections(self) -> int:
        return 0

    def drop(self) -> None:
        """Nothing passes through here."""
