# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How MongoDB's work moves between the ends of one set.

Both ends are members of one set, and a set has one primary whatever happens: so there is no fence to build, and nothing
of what was acknowledged can be lost. What an end may do is its *seat* (mongodb_config.py). A move

1. gives everybody of the end that takes over a vote and a place in elections, while the platform works on (seconds);
2. holds requests and then everything else that Tutor's containers send (mongodb_pause.py), waits until no operation is
   at work, and has the primary step down: another one is elected in milliseconds;
3. writes the pointer: the one commit point; lets requests in;
4. takes seat and vote from the end that was left, while the platform works on. It goes on replicating: the way back.

A crash anywhere is settled by the pointer alone: the end that it names gets the primary and its seats, the other one
follows. A crash between 2 and 3 leaves the set served by the end that the pointer does not name, which is safe, since
clients follow the primary by themselves; settling moves it back. Until then a hold has ended by itself.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Protocol

from . import mongodb_config as configs
from .cutover import Flip, FlipFailed, FlipUnfinished, Limits, Note, NoWayBack, other
from .mongodb_client import Client
from .mongodb_node import working
from .mongodb_pause import Pause
from .mongodb_set import ReplicaSet
from .stores.base import CLUSTER, LOCAL, Busy, Door, StoreError

#: How long what was sent may take to arrive.
_ARRIVAL_SECONDS = 0.01
_POLL_SECONDS = 0.005
#: How long a step down that cannot wait waits for operations to end all the same.
_QUIET_SECONDS = 1.0


class Requests(Protocol):
    """Holds requests before they reach the platform (request_hold.RequestHold)."""

    def hold(self, seconds: float) -> None:
        """Let new requests wait, for so long at most."""

    def drained(self) -> bool:
        """Whether those that were let in before have ended."""

    def release(self) -> None:
        """End the hold; harmless without one."""


class RequestDoor(Door, Protocol):
    """A door that can hold requests."""

    requests: Requests


class Move:
    """Moves the work of one set, and settles a move that was interrupted."""

    def __init__(
        self,
        members: ReplicaSet,
        local: str,
        door: RequestDoor,
        pause: Pause,
        config_seconds: float = 30.0,
        elect_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._set = members
        self._local = local
        self._door = door
        self._pause = pause
        self._config_seconds = config_seconds
        self._elect_seconds = elect_seconds
        self._clock = clock
        self._wait = wait

    def run(self, end: str, limits: Limits, note: Note) -> Flip:
        """Move the work to ``end``; raises what cutover.flip() raises."""
        if self._door.pointer() == end:
            self.settle(limits)
            return Flip(serving=end)
        done = Flip(serving=other(end))

        def tell(step: str) -> None:
            # Nobody's being told is no reason to give up.
            with contextlib.suppress(Exception):
                note(step)

        try:
            tell("seats")
            self._share(end)
            self._refuse_incomplete(end)
            self._hand_over(end, limits, tell, done)
        except Exception as problem:
            self._release()
            if self._moved(end):
                # The pointer was written, whatever was said of it: only forward from here.
                return self._finish(end, limits, tell, done)
            tell("restore")
            self._restore(end)
            if isinstance(problem, StoreError):
                raise
            raise FlipFailed(f"the move was given up before its commit point: {problem}") from problem
        return self._finish(end, limits, tell, done)

    def settle(self, limits: Limits) -> str:
        """Reach the state at rest of the end that the pointer names, and return it."""
        self._release()
        end = self._door.pointer()
        try:
            self._serve(end, limits.settle_seconds)
            self._door.point(end)
        except Exception as problem:
            raise FlipUnfinished(
                f"the {end} end of store mongodb, which has to serve now, does not lead the set yet ({problem}): mend "
                "it, then run the same playbook again"
            ) from problem
        self._follow(end)
        return end

    # The steps

    def _share(self, end: str) -> None:
        self._set.seat(lambda config, primary: configs.shared(config, end, self._local, primary), self._config_seconds)
        self._set.may_be_elected(self._hosts(end))

    def _refuse_incomplete(self, end: str) -> None:
        behind = [host for host in self._hosts(end) if not self._set.look_at(host).healthy]
        if behind:
            raise StoreError(f"{', '.join(behind)} does not replicate now: bring it back, then try again")

    def _hand_over(self, end: str, limits: Limits, tell: Note, done: Flip) -> None:
        started = self._clock()
        entered: list[str] = []

        def enter(step: str) -> None:
            if entered:
                done.steps[entered[-1]] = self._clock() - started
            entered.append(step)
            tell(step)

        leading = self._set.lead()
        until = started + limits.drain_seconds
        enter("hold")
        self._door.requests.hold(limits.hold_seconds + limits.release_seconds)
        enter("drain")
        self._await(self._door.requests.drained, "requests to the platform are still being answered", until)
        enter("pause")
        self._pause_all(until, leading, limits.hold_seconds + limits.release_seconds)
        enter("step down")
        left = started + limits.hold_seconds - self._clock()
        if left <= 0:
            raise FlipFailed("the deadline of the hold passed at step 'step down': the old end serves as before")
        done.position = self._set.committed_text()
        self._set.step_down(min(left, self._elect_seconds))
        if self._set.await_primary(self._hosts(end), self._elect_seconds) is None:
            raise FlipFailed(
                f"no member of the {end} end was elected within {self._elect_seconds:.0f} s: the old end goes on"
            )
        enter("decide")
        self._door.decide(end)
        if not self._moved(end):
            raise FlipFailed("the pointer still names the old end after it was written: it goes on serving")
        enter("open")
        self._pause.release()
        with contextlib.suppress(Exception):
            # Only drivers that start anew ask the edge, and settling asks again.
            self._door.point(end)
        self._door.requests.release()
        done.steps["open"] = self._clock() - started

    def _pause_all(self, until: float, leading: Client, seconds: float = _QUIET_SECONDS) -> None:
        """Let nothing pass to the set, and wait until nothing is at work there."""
        self._pause.hold(self._hosts(LOCAL) + self._hosts(CLUSTER), seconds)
        # Twice, because what was sent just before may only just have arrived.
        for _ in range(2):
            self._await(lambda: not working(leading), "operations on the set still run", until)
            self._wait(_ARRIVAL_SECONDS)

    def _await(self, ended: Callable[[], bool], what: str, until: float) -> None:
        while not ended():
            if self._clock() >= until:
                raise Busy(f"{what}: the move is postponed and nothing has changed; try again when they have ended")
            self._wait(_POLL_SECONDS)

    def _release(self) -> None:
        for release in (self._pause.release, self._door.requests.release):
            # Both end by themselves, too.
            with contextlib.suppress(Exception):
                release()

    def _finish(self, end: str, limits: Limits, tell: Note, done: Flip) -> Flip:
        done.serving = end
        tell("way back")
        try:
            self.settle(limits)
        except NoWayBack as problem:
            done.problem = str(problem)
        tell("done")
        return done

    def _restore(self, end: str) -> None:
        """Before the commit point: as it was. Where that cannot be done now, recovery goes on with it."""
        leaving = other(end)
        with contextlib.suppress(Exception):
            self._serve(leaving, self._config_seconds)
            self._follow(leaving)

    def _serve(self, end: str, seconds: float) -> None:
        """Let the set be led by one end."""
        ends = self._clock() + seconds
        while True:
            try:
                primary = self._set.primary()
                if primary is not None and in_end(primary, self._local, end):
                    return
                self._share(end)
                primary = self._set.primary()
                if primary is not None and not in_end(primary, self._local, end):
                    self._step_down_quietly()
                if self._set.await_primary(self._hosts(end), self._elect_seconds) is not None:
                    return
                problem = "no member of it was elected"
            except StoreError as said:
                problem = str(said)
            if self._clock() >= ends:
                raise StoreError(problem)
            self._wait(0.2)

    def _step_down_quietly(self) -> None:
        """Have the primary step down where that cannot wait: with nothing at work if that comes soon, or as it is."""
        leading = self._set.lead()
        try:
            with contextlib.suppress(Exception):
                self._pause_all(self._clock() + _QUIET_SECONDS, leading)
            self._set.step_down(self._elect_seconds)
        finally:
            with contextlib.suppress(Exception):
                self._pause.release()

    def _follow(self, end: str) -> None:
        """Take vote and seat from the end that does not serve, and give them to the one that does."""
        try:
            self._set.seat(lambda config, _primary: configs.at_rest(config, end, self._local), self._config_seconds)
        except Exception as problem:
            raise NoWayBack(
                f"the {end} end of store mongodb serves, but the set's configuration is not as it has to be yet "
                f"({problem}): run the same playbook again"
            ) from problem

    def _hosts(self, end: str) -> list[str]:
        """The members of an end that the set has."""
        found = self._set.kept_config() or {"members": []}
        return [host for host in configs.hosts(found) if in_end(host, self._local, end)]

    def _moved(self, end: str) -> bool:
        try:
            return self._door.pointer() == end
        except Exception as problem:
            raise FlipUnfinished(
                f"the pointer can be neither written nor read ({problem}): the set serves on; mend the disk of the app "
                "server, then run the same playbook again"
            ) from problem


def in_end(host: str, local: str, end: str) -> bool:
    """Whether a member belongs to an end."""
    return (host == local) == (end == LOCAL)
