# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cutover: an algorithm that knows no engine.

The invariant that makes it safe: *the end that the pointer does not name is closed*. The pointer moves only after the
end that it leaves has been fenced durably, and an end is opened only when the pointer names it. So there are never two
ends writable, whatever fails and whenever; and one fact, the pointer, tells how to go on after a crash.

A flip holds new work, waits for what is in flight, closes the end that serves, lets the other one apply everything,
writes the pointer, opens, releases. Before the pointer moved, any failure ends in :func:`settle` on the old end: nothing
happened. After it, in :func:`settle` on the new one. Rollback is the same flip the other way round.
"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Callable

from .stores.base import CLUSTER, LOCAL, Busy, Door, End, StoreError

Clock = Callable[[], float]
Wait = Callable[[float], None]
Note = Callable[[str], None]


@dataclass(frozen=True)
class Limits:
    """Bounds of a flip, in seconds. A hold has to stay below the shortest time-out of any client."""

    hold_seconds: float = 5.0
    drain_seconds: float = 2.0
    idle_seconds: float = 1.0
    settle_seconds: float = 30.0
    poll_seconds: float = 0.002


@dataclass
class Flip:
    """What a flip did: the end that serves afterwards and the seconds from the hold to each step."""

    serving: str
    steps: dict[str, float] = field(default_factory=dict)
    position: str = ""

    @property
    def hold_seconds(self) -> float:
        """How long new work waited."""
        return self.steps.get("release", 0.0)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "hold_seconds": self.hold_seconds}


class FlipFailed(StoreError):
    """The flip was given up before its commit point; the old end serves as before."""


class FlipUnfinished(StoreError):
    """The pointer moved, but the new end could not be opened yet; settle() has to be run until it succeeds."""


class _Deadline:
    """Decides once, under a lock, whether a flip commits or is given up."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._ends = clock() + seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._over = False

    def left(self) -> float:
        return self._ends - self._clock()

    def check(self, step: str) -> None:
        if self._over or self.left() <= 0:
            raise FlipFailed(f"the deadline of the hold passed at step '{step}': the old end serves as before")

    def commit(self, decide: Callable[[], None]) -> None:
        with self._lock:
            self.check("decide")
            decide()
            self._over = True

    def expire(self, give_up: Callable[[], None]) -> None:
        with self._lock:
            if not self._over:
                self._over = True
                give_up()


def other(end: str) -> str:
    """The end across the door."""
    return CLUSTER if end == LOCAL else LOCAL


def flip(
    leaving: End,
    taking: End,
    door: Door,
    limits: Limits = Limits(),
    clock: Clock = time.monotonic,
    wait: Wait = time.sleep,
    note: Note = lambda step: None,
    guard: bool = True,
) -> Flip:
    """Move the work from ``leaving`` to ``taking`` and return what it took.

    Raises Busy (postponed, nothing changed), FlipFailed (given up, the old end serves) or FlipUnfinished (the new end
    is the one to serve; run settle()). ``guard`` starts a timer that gives up by itself when a step hangs.
    """
    if door.pointer() == taking.name:
        settle(leaving, taking, door, limits, clock, wait)
        return Flip(serving=taking.name)
    done = Flip(serving=leaving.name)
    started = clock()
    deadline = _Deadline(limits.hold_seconds, clock)

    def mark(step: str) -> None:
        done.steps[step] = clock() - started
        note(step)

    def give_up() -> None:
        leaving.open()
        door.release()

    timer = threading.Timer(limits.hold_seconds, deadline.expire, args=(give_up,))
    timer.daemon = True
    try:
        if guard:
            timer.start()
        door.hold()
        mark("hold")
        _drain(leaving, door, deadline, limits, wait)
        mark("drain")
        leaving.close(max(deadline.left(), 0.0))
        mark("fence")
        door.drop()
        done.position = leaving.position()
        deadline.check("position")
        taking.reach(done.position, max(deadline.left(), 0.0))
        mark("apply")
        taking.unfollow()
        deadline.commit(lambda: door.decide(taking.name))
        mark("decide")
    except Exception as problem:
        _restore(leaving, taking, door, limits, clock, wait, problem)
        if isinstance(problem, StoreError):
            raise
        raise FlipFailed(f"the flip was given up before its commit point: {problem}") from problem
    finally:
        timer.cancel()
    done.serving = taking.name
    _serve(taking, door, limits, clock, wait)
    mark("release")
    taking_back(leaving, taking)
    mark("way back")
    return done


def taking_back(standby: End, serving: End) -> None:
    """Let the closed end follow the one that serves: the way back, or the way forward again."""
    standby.follow(serving)


def settle(
    one: End,
    two: End,
    door: Door,
    limits: Limits = Limits(),
    clock: Clock = time.monotonic,
    wait: Wait = time.sleep,
) -> str:
    """Reach the state at rest from wherever a crash left things, and return the name of the end that serves.

    The pointer alone decides. The other end is closed already, whatever happened (see the module's text), so its being
    unreachable does not keep the serving end from being opened; what remains to be done there is reported.
    """
    serving, standby = (one, two) if one.name == door.pointer() else (two, one)
    try:
        standby.close(limits.hold_seconds)
    except StoreError:
        # It was closed before the pointer left it; insisting would keep the serving end shut for nothing.
        pass
    serving.unfollow()
    _serve(serving, door, limits, clock, wait)
    taking_back(standby, serving)
    return serving.name


def _drain(leaving: End, door: Door, deadline: _Deadline, limits: Limits, wait: Wait) -> None:
    """Wait for work in flight. Connections that a pool keeps idle do not count, work inside them does."""
    ends = min(deadline.left(), limits.drain_seconds)
    started = deadline.left()
    while door.connections() > 0:
        if started - deadline.left() >= ends:
            working = [s for s in leaving.sessions() if s.in_transaction or s.idle_seconds < limits.idle_seconds]
            if not working:
                return
            first = working[0]
            raise Busy(
                f"{len(working)} session(s) on the {leaving.name} end still work, the first is {first.account} from "
                f"{first.address}: the flip is postponed and nothing has changed; try again when they have ended"
            )
        deadline.check("drain")
        wait(limits.poll_seconds)


def _restore(
    leaving: End, taking: End, door: Door, limits: Limits, clock: Clock, wait: Wait, problem: BaseException
) -> None:
    """Before the commit point: make the old end serve again, whatever it takes."""
    _serve(leaving, door, limits, clock, wait)
    try:
        taking_back(taking, leaving)
    except StoreError as also:
        problem.__context__ = also


def _serve(serving: End, door: Door, limits: Limits, clock: Clock, wait: Wait) -> None:
    """Open an end, point the door at it and release, retrying until it works or the time is up."""
    ends = clock() + limits.settle_seconds
    while True:
        try:
            serving.open()
            door.point(serving.name)
            door.release()
            return
        except StoreError as problem:
            if clock() >= ends:
                door.release()
                raise FlipUnfinished(
                    f"the {serving.name} end, which has to serve now, could not be opened within "
                    f"{limits.settle_seconds:.0f} s ({problem}): mend it, then run the same playbook again"
                ) from problem
            wait(max(limits.poll_seconds, 0.05))
