# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cutover: an algorithm that knows no engine.

The invariant that makes it safe: *the end that the pointer does not name is closed*. The pointer moves only after the
end that it leaves has been fenced durably, and an end is opened only when the pointer names it. So there are never two
ends writable, whatever fails and whenever; and one fact, the pointer, tells how to go on after a crash.

A flip holds new work, waits for what is in flight, closes the end that serves, lets the other one apply everything,
writes the pointer, opens, releases. Before the pointer moved, any failure ends in :func:`settle` on the old end:
nothing happened. After it, in :func:`settle` on the new one. Rollback is the same flip the other way round.

What it asks of the ends and the door, beyond stores/base.py: ``closed``, ``position``, ``reach`` and ``point`` tell the
truth or raise; a call that has returned or raised has no effect later; what ``pointer`` returns would also be read
after a loss of power; calls may come from two threads, the flip's own and its guard's. Every other call may fail,
before or after its effect, hang, or claim to be done: what matters is asked again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from .stores.base import CLUSTER, LOCAL, Busy, Door, End, Progress, StoreError

Clock = Callable[[], float]
Wait = Callable[[float], None]
Note = Callable[[str], None]
#: Runs an action after some seconds, unless the function that it returns is called before. Calling that function also
#: waits for the end of an action that runs already.
Guard = Callable[[float, Callable[[], None]], Callable[[], None]]


@dataclass(frozen=True)
class Limits:
    """Bounds of a flip, in seconds. A hold has to stay below the shortest time-out of any client.

    ``idle_seconds``: a connection that did nothing for so long belongs to a pool; a younger one may be in the middle of
    a request or a task, even outside a transaction. ``release_seconds``: how long after the deadline of the hold new
    work is let in at the latest, even when nothing else could be mended.
    """

    hold_seconds: float = 5.0
    drain_seconds: float = 2.0
    idle_seconds: float = 10.0
    release_seconds: float = 1.0
    settle_seconds: float = 30.0
    poll_seconds: float = 0.002


@dataclass
class Flip:
    """What a flip did: the end that serves afterwards, and when each step ended, in seconds from the start of the hold.

    ``problem`` is not empty when the work has moved but the end that it left does not follow: there is no way back yet.
    """

    serving: str
    steps: dict[str, float] = field(default_factory=dict)
    position: str = ""
    problem: str = ""

    @property
    def hold_seconds(self) -> float:
        """How long new work waited."""
        return self.steps.get("open", 0.0)

    def as_dict(self) -> dict[str, Any]:
        """What a report's JSON holds."""
        return {**asdict(self), "hold_seconds": self.hold_seconds}


class FlipFailed(StoreError):
    """The flip was given up before its commit point; the old end serves as before."""


class FlipUnfinished(StoreError):
    """The end that has to serve could not be opened yet; settle() has to be run until it succeeds."""


class NoWayBack(StoreError):
    """The end that has to serve does, but the other one does not follow it yet; settle() has to be run again."""


class _Deadline:
    """Decides once, under a lock, whether a flip goes for its commit point or is given up."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._ends = clock() + seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._over = False
        self.tried = False
        """Whether the pointer may have moved."""

    def left(self) -> float:
        return max(self._ends - self._clock(), 0.0)

    def check(self, step: str) -> None:
        if self._over or self.left() <= 0:
            raise FlipFailed(f"the deadline of the hold passed at step '{step}': the old end serves as before")

    def commit(self, decide: Callable[[], None]) -> None:
        with self._lock:
            self.check("decide")
            self._over = self.tried = True
            decide()

    def expire(self, give_up: Callable[[], None]) -> None:
        # While the lock is taken the pointer is being written: too late to give up.
        if self._lock.acquire(blocking=False):
            try:
                if not self._over:
                    self._over = True
                    give_up()
            finally:
                self._lock.release()


def other(end: str) -> str:
    """The end across the door."""
    return CLUSTER if end == LOCAL else LOCAL


def after(seconds: float, action: Callable[[], None]) -> Callable[[], None]:
    """The guard that a real flip uses: a thread."""
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()

    def stop() -> None:
        timer.cancel()
        timer.join()

    return stop


def flip(
    leaving: End,
    taking: End,
    door: Door,
    limits: Limits = Limits(),
    clock: Clock = time.monotonic,
    wait: Wait = time.sleep,
    note: Note = lambda step: None,
    guard: Guard = after,
) -> Flip:
    """Move the work from ``leaving`` to ``taking`` and return what it took.

    Raises Busy (postponed, nothing changed), FlipFailed or another StoreError (given up, the old end serves) or
    FlipUnfinished (run settle()). ``note`` is told each step before it begins. ``guard`` gives up by itself when a step
    hangs.
    """
    if door.pointer() == taking.name:
        settle(leaving, taking, door, limits, clock, wait, guard)
        return Flip(serving=taking.name)
    if not taking.closed():
        raise FlipFailed(
            f"the {taking.name} end takes writes although the {leaving.name} end serves, so they may differ: nothing "
            f"has changed; close the {taking.name} end, and compare both before the next try"
        )
    done = Flip(serving=leaving.name)
    started = clock()
    deadline = _Deadline(limits.hold_seconds, clock)
    entered: list[str] = []

    def enter(step: str) -> None:
        if entered:
            done.steps[entered[-1]] = clock() - started
        entered.append(step)
        # Nobody's being told is no reason to give up, least of all behind the commit point.
        with contextlib.suppress(Exception):
            note(step)

    def give_up() -> None:
        try:
            leaving.open()
        finally:
            door.release()

    with contextlib.ExitStack() as guards:
        guards.callback(guard(limits.hold_seconds, lambda: deadline.expire(give_up)))
        guards.callback(guard(limits.hold_seconds + limits.release_seconds, door.release))
        try:
            enter("hold")
            door.hold(limits.hold_seconds + limits.release_seconds)
            enter("drain")
            _drain(leaving, door, deadline, limits, wait)
            enter("fence")
            _fence(leaving, deadline)
            door.drop()
            enter("apply")
            done.position = leaving.position()
            deadline.check("apply")
            taking.reach(done.position, deadline.left())
            taking.unfollow()
            enter("decide")
            deadline.commit(lambda: door.decide(taking.name))
            moved = _moved(taking, door, limits, clock, wait)
            if not moved:
                raise FlipFailed(
                    f"the pointer still names the {leaving.name} end after it was written: it serves as before"
                )
        except Exception as problem:
            if not deadline.tried or not _moved(taking, door, limits, clock, wait):
                if "fence" not in entered:
                    # The old end has served all the time: let new work in at once, also after a hold that came late.
                    with contextlib.suppress(Exception):
                        door.release()
                enter("restore")
                _restore(leaving, taking, door, limits, clock, wait)
                if isinstance(problem, StoreError):
                    raise
                raise FlipFailed(f"the flip was given up before its commit point: {problem}") from problem
        done.serving = taking.name
        enter("open")
        _serve(taking, door, limits, clock, wait)
    enter("way back")
    try:
        _follow(leaving, taking, limits, clock, wait)
    except NoWayBack as problem:
        done.problem = str(problem)
    enter("done")
    return done


def settle(
    one: End,
    two: End,
    door: Door,
    limits: Limits = Limits(),
    clock: Clock = time.monotonic,
    wait: Wait = time.sleep,
    guard: Guard = after,
) -> str:
    """Reach the state at rest from wherever a crash left things, and return the name of the end that serves.

    The pointer alone decides. The other end is closed already, whatever happened (see the module's text), so its being
    unreachable does not keep the serving end from being opened. Raises FlipUnfinished or NoWayBack; run it again then.
    """
    with contextlib.ExitStack() as guards:
        guards.callback(guard(limits.hold_seconds, door.release))
        try:
            serving, standby = (one, two) if one.name == door.pointer() else (two, one)
            # It was closed before the pointer left it; insisting would keep the serving end shut for nothing.
            with contextlib.suppress(Exception):
                standby.close(limits.drain_seconds)
            if _takes_writes(standby):
                raise FlipUnfinished(
                    f"the {standby.name} end takes writes although the pointer names the {serving.name} end: somebody "
                    "opened it; close it, compare both ends, then run the same playbook again"
                )
            _serve(serving, door, limits, clock, wait)
        except Exception:
            with contextlib.suppress(Exception):
                door.release()
            raise
    _follow(standby, serving, limits, clock, wait)
    return serving.name


class FencedStore:
    """What a store does at a flip whose ends can be fenced one by one: the algorithm above."""

    local: End
    cluster: End
    door: Door

    def move(self, end: str, limits: Limits, note: Note) -> Flip:
        """Flip to ``end``."""
        leaving, taking = (self.local, self.cluster) if end == CLUSTER else (self.cluster, self.local)
        return flip(leaving, taking, self.door, limits, note=note)

    def restore(self, progress: Progress) -> dict[str, Any]:
        """Nothing: what was added to the local end, detach() takes away."""
        return {"changed": False}

    def settle(self, limits: Limits) -> str:
        """Settle a flip that was interrupted; return the end that serves."""
        return settle(self.local, self.cluster, self.door, limits)


def _drain(leaving: End, door: Door, deadline: _Deadline, limits: Limits, wait: Wait) -> None:
    """Wait for work in flight. Connections that a pool keeps idle do not count, work inside them does.

    The door may not know every connection (one that an earlier HAProxy process still serves), so the end is asked too.
    """
    begun = deadline.left()
    while True:
        deadline.check("drain")
        late = begun - deadline.left() >= limits.drain_seconds
        if late or door.connections() == 0:
            working = [
                one for one in leaving.sessions() if one.in_transaction or one.idle_seconds < limits.idle_seconds
            ]
            if not working:
                return
            if late:
                raise Busy(
                    f"{len(working)} session(s) on the {leaving.name} end still work, the first is "
                    f"{working[0].account} from {working[0].address}: the flip is postponed and nothing has changed; "
                    "try again when they have ended"
                )
        wait(limits.poll_seconds)


def _fence(leaving: End, deadline: _Deadline) -> None:
    """Close the end that serves, and believe it only when it says so itself."""
    leaving.close(deadline.left())
    deadline.check("fence")
    if not leaving.closed():
        raise FlipFailed(f"the {leaving.name} end still takes writes after it was closed: it serves as before")
    deadline.check("fence")


def _takes_writes(end: End) -> bool:
    """Whether an end is known to take writes; False when it cannot be asked."""
    try:
        return not end.closed()
    except Exception:
        return False


def _moved(taking: End, door: Door, limits: Limits, clock: Clock, wait: Wait) -> bool:
    """Whether the pointer moved; writing it may have failed after it was written, or before."""
    ends = clock() + limits.settle_seconds
    while True:
        try:
            return door.pointer() == taking.name
        except Exception as problem:
            if clock() >= ends:
                with contextlib.suppress(Exception):
                    door.release()
                raise FlipUnfinished(
                    f"both ends are closed, because the pointer can be neither written nor read ({problem}): mend the "
                    "disk of the app server, then run the same playbook again"
                ) from problem
            wait(max(limits.poll_seconds, 0.05))


def _restore(leaving: End, taking: End, door: Door, limits: Limits, clock: Clock, wait: Wait) -> None:
    """Before the commit point: make the old end serve again, whatever it takes."""
    _serve(leaving, door, limits, clock, wait)
    # The next look at the store finds out whether it follows.
    with contextlib.suppress(NoWayBack):
        _follow(taking, leaving, limits, clock, wait, attempts=1)


def _serve(serving: End, door: Door, limits: Limits, clock: Clock, wait: Wait) -> None:
    """Open an end, point the door at it and release, retrying until it works or the time is up."""
    ends = clock() + limits.settle_seconds
    while True:
        try:
            serving.unfollow()
            serving.open()
            door.point(serving.name)
            if serving.closed():
                raise StoreError("it still refuses writes after it was opened")
            door.release()
            return
        except Exception as problem:
            if clock() >= ends:
                with contextlib.suppress(Exception):
                    door.release()
                raise FlipUnfinished(
                    f"the {serving.name} end, which has to serve now, could not be opened within "
                    f"{limits.settle_seconds:.0f} s ({problem}): mend it, then run the same playbook again"
                ) from problem
            wait(max(limits.poll_seconds, 0.05))


def _follow(standby: End, serving: End, limits: Limits, clock: Clock, wait: Wait, attempts: int = 3) -> None:
    """Let the closed end follow the one that serves: the way back, or the way forward again."""
    for attempt in range(1, attempts + 1):
        try:
            standby.follow(serving)
            return
        except Exception as problem:
            if attempt == attempts:
                raise NoWayBack(
                    f"the {serving.name} end serves, but the {standby.name} end does not follow it yet ({problem}): "
                    "run the same playbook again"
                ) from problem
            wait(max(limits.poll_seconds, 0.05))
