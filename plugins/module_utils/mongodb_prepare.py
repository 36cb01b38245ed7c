# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make Tutor's container the first member of a set, and undo it: the one restart that a move of MongoDB costs.

Requests wait meanwhile, and nobody else gets to the new container before it takes writes, so that no driver meets a
server that refuses. Everything is read first: a run that was interrupted is continued by the next one, and what may not
wait, the beginning of a set that has none, is done by the follower, too (mongodb_tend.py).
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .mongodb_client import ALREADY_INITIALIZED, MongodbError
from .mongodb_config import first_config
from .mongodb_local import LocalNode
from .mongodb_move import Requests
from .mongodb_node import STANDALONE, UNINITIATED, NodeState, working
from .mongodb_platform import Platform
from .mongodb_reach import refuse_unreachable
from .mongodb_set import ReplicaSet
from .mongodb_settings import MongodbSettings
from .netns import Doorkeeper, Gate, NetworkError
from .stores.base import Busy, Progress, StoreError, Unreachable

_ATTEMPTS = 10
_PAUSE_SECONDS = 3.0
#: How long the container's gate may stay closed when nobody opens it.
_GATE_SECONDS = 15
_PRIMARY_SECONDS = 15.0
#: For how long a member of a set, told to end, waits for others to take over. Nobody shall take over.
_QUICK_END: dict[str, Any] = {"shutdownTimeoutMillisForSignaledShutdown": 100}


class Prepare:
    """One run of the stage `prepare`, or of what detach does at its end."""

    def __init__(
        self,
        settings: MongodbSettings,
        local: LocalNode,
        members: ReplicaSet,
        requests: Requests,
        platform: Callable[[], Platform],
        keeper: Callable[[Sequence[str]], contextlib.AbstractContextManager[object]] | None = None,
        reach: Callable[[int, str, str], str] = refuse_unreachable,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._local = local
        self._set = members
        self._requests = requests
        self._platform = platform
        self._keeper = keeper or keep_out
        self._reach = reach
        self._clock = clock
        self._wait = wait

    def run(self, progress: Progress) -> dict[str, object]:
        """Do what is missing; tell whether anything was, and for how long requests waited."""
        changed, stall = self._local.place_files(), 0.0
        state = self._known()
        if state.state == STANDALONE:
            platform = self._platform()
            self._refuse(platform, state)
            stall = self._with_patience(lambda: self._restart(platform, progress), progress)
            changed = True
        elif state.state == UNINITIATED:
            begin(self._settings, self._local, self._set, self._clock, self._wait)
            changed = True
        elif state.set_name != self._settings.set_name:
            raise StoreError(
                f"Tutor's MongoDB is a member of the set {state.set_name}, not of {self._settings.set_name}: set "
                "mongodb_set_name to it if it is meant, or take the container out of it"
            )
        progress("accounts", {})
        changed |= self._local.make_accounts()
        return {"changed": changed, "stall_seconds": round(stall, 3)}

    def undo(self, progress: Progress) -> dict[str, object]:
        """Make the container what it was: alone, without our files and accounts."""
        state, stall, changed = self._known(), 0.0, False
        platform = self._platform()
        if platform.rendered():
            raise StoreError(
                "Tutor still renders MongoDB as a member of a set: restore its configuration first, then this again"
            )
        if state.state != STANDALONE:
            self._local.drop_accounts()
            stall = self._with_patience(lambda: self._restart_alone(platform, progress), progress)
            changed = True
        changed |= self._forget_set()
        changed |= self._local.remove_files()
        return {"changed": changed, "stall_seconds": round(stall, 3)}

    # Before anything changes

    def _known(self) -> NodeState:
        state = self._local.state()
        if not state.reachable:
            raise Unreachable(f"Tutor's MongoDB cannot be asked: {state.error}")
        return state

    def _refuse(self, platform: Platform, state: NodeState) -> None:
        if not platform.rendered():
            raise StoreError(
                "Tutor has not rendered MongoDB as a member of a set yet, so nothing was restarted: run offload.yml, "
                "which installs the plugin that does"
            )
        for one in self._set.look([member.host for member in self._settings.members]):
            if not one.reachable:
                raise Unreachable(f"member {one.host} cannot be asked ({one.error}): start MongoDB there, or open the "
                                  "way to it")  # fmt: skip
            if one.state != UNINITIATED:
                # A server that knows an older set would make Tutor's container a member of it, and that one would
                # drop all its data to copy those of the set.
                raise StoreError(
                    f"member {one.host} is not empty, it is {one.state} of a set that Tutor's MongoDB is not in: stop "
                    "MongoDB there, empty its data directory, and start it"
                )
            if series(one.version) != series(state.version):
                raise StoreError(
                    f"member {one.host} runs MongoDB {one.version} and Tutor {state.version}: set mongodb_version to "
                    "the series of Tutor's, since only equal series join"
                )
        inside = platform.client()
        for host in (self._settings.local_host, *(member.host for member in self._settings.members)):
            found = self._reach(inside.pid, host, inside.name)
            if host == self._settings.local_host and found != self._identity():
                raise StoreError(
                    f"{host} does not lead to Tutor's MongoDB but to another one: see `tutorops status` on the app "
                    "server"
                )
        platform.refuse_command()

    def _identity(self) -> str:
        said = self._local.client().command("hello")
        return str((said.get("topologyVersion") or {}).get("processId", ""))

    # The restart

    def _with_patience(self, restart: Callable[[], float], progress: Progress) -> float:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return restart()
            except Busy as problem:
                if attempt == _ATTEMPTS:
                    raise
                progress("postponed", {"attempt": attempt, "reason": str(problem)})
                self._wait(_PAUSE_SECONDS)
        raise AssertionError("unreachable")

    def _restart(self, platform: Platform, progress: Progress) -> float:
        before = platform.running_command()
        with self._held(progress) as begun:
            progress("restart", {"step": "making the container anew"})
            with self._keeper(self._local.gateways()):
                try:
                    platform.recreate()
                    self._await_answer(begun + self._settings.limits.restart_seconds)
                    progress("restart", {"step": "beginning the set"})
                    begin(self._settings, self._local, self._set, self._clock, self._wait)
                except StoreError as problem:
                    if self._local.state().in_set:
                        raise
                    self._give_back(platform, before, problem)
        return self._clock() - begun

    def _restart_alone(self, platform: Platform, progress: Progress) -> float:
        platform.refuse_command()
        with self._held(progress) as begun:
            progress("restart", {"step": "making the container anew"})
            platform.recreate()
            self._await_answer(begun + self._settings.limits.restart_seconds)
        return self._clock() - begun

    @contextlib.contextmanager
    def _held(self, progress: Progress) -> Iterator[float]:
        """Requests wait, and none is at work on the container; gives the moment from which they waited."""
        limits, client = self._settings.limits, self._local.client()
        # What is written now need not be written at the end.
        client.command("fsync")
        with contextlib.suppress(MongodbError):
            client.command("setParameter", 1, **_QUICK_END)
        progress("restart", {"step": "holding requests"})
        begun = self._clock()
        try:
            self._requests.hold(limits.restart_seconds + _GATE_SECONDS)
            while not self._requests.drained() or working(client):
                if self._clock() - begun >= limits.drain_seconds:
                    raise Busy(
                        f"requests or operations did not end within {limits.drain_seconds:.0f} s, so MongoDB was not "
                        "restarted: try again when they have ended"
                    )
                self._wait(0.01)
            yield begun
        finally:
            self._requests.release()

    def _await_answer(self, ends: float) -> None:
        """Wait until the container, wherever it is now, answers."""
        self._local.let_go()
        while True:
            with contextlib.suppress(StoreError, OSError):
                # First whether anybody listens: that tells at once, where the driver would wait between its tries.
                address = self._local.address()
                socket.create_connection((address, self._settings.service_port), 1.0).close()
                self._local.client().command("ping")
                return
            if self._clock() >= ends:
                raise StoreError(
                    f"the container did not answer within {self._settings.limits.restart_seconds:.0f} s after it was "
                    "made anew"
                )
            self._wait(0.02)

    def _give_back(self, platform: Platform, command: Sequence[str], reason: StoreError) -> None:
        """Start the container as it was before: nothing has happened, apart from two restarts."""
        platform.recreate(command)
        self._await_answer(self._clock() + self._settings.limits.restart_seconds)
        raise StoreError(
            f"Tutor's MongoDB could not be made a member of a set, and runs as before ({reason}): see `tutor local "
            f"logs {self._settings.service}`, mend it, then run the same playbook again"
        ) from reason

    def _forget_set(self) -> bool:
        """Drop what a member keeps: begun anew, it would remember a set and lack what was written since."""
        found = self._local.client().command("listDatabases", filter={"name": "local"}, nameOnly=True)["databases"]
        kept = self._local.client().command("listCollections", database="local", nameOnly=True) if found else None
        names = [one["name"] for one in kept["cursor"]["firstBatch"]] if kept else []
        if "oplog.rs" not in names and "system.replset" not in names:
            return False
        self._local.client().drop_database("local")
        return True


def begin(
    settings: MongodbSettings,
    local: LocalNode,
    members: ReplicaSet,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Begin the set with the container alone, and wait until it takes writes.

    The container has to reach itself by its name in the set, and the edge may learn its new address a moment later than
    we do: so it is tried again.
    """
    ends = clock() + _PRIMARY_SECONDS
    config = first_config(settings.set_name, [settings.local_host])
    while True:
        try:
            local.client().command("replSetInitiate", config)
            break
        except MongodbError as problem:
            if problem.code == ALREADY_INITIALIZED:
                break
            if clock() >= ends:
                raise
        wait(0.05)
    while not local.client().command("hello").get("isWritablePrimary"):
        if clock() >= ends:
            raise StoreError("Tutor's MongoDB is a member of a set now, but does not take writes yet: see its log")
        wait(0.01)


def series(version: str) -> tuple[int, ...]:
    """The numbers of a series: of C(7.0.28) they are 7 and 0."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


@contextlib.contextmanager
def keep_out(friends: Sequence[str], folder: Path = Path("/run/docker/netns")) -> Iterator[None]:
    """Refuse connections to a container that starts meanwhile, from everybody but some addresses.

    A driver waits for a server that refuses connections, but takes the answer of one that has no set for an error.
    Where the gate cannot be had, held requests are all the protection.
    """

    class Exempting(Gate):
        def apply(self, namespace: str, rules: str) -> None:
            super().apply(namespace, rules.replace('iifname != "lo" ', f'iifname != "lo" {known}'))

    known = "".join(f"ip saddr != {one} " for one in friends if ":" not in one)
    gate = Exempting()
    try:
        gate.check()
    except NetworkError:
        yield
        return
    with Doorkeeper(gate, folder, _GATE_SECONDS) as keeper:
        try:
            yield
        finally:
            keeper.release(set())
