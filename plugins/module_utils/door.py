# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door of one store: its pointer, the edge before its ends, and the holds of a flip."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .edge import ENDS, Edge, EdgeError, EdgeSettings, Member, Served, read_pointer, write_pointer
from .paths import PATHS, Paths, sync_file
from .request_hold import NoRequestHold, RequestHold, Requests
from .stores.base import CLUSTER, LOCAL

#: For how long requests under way may go on opening connections once new ones are held.
_FINISH_SECONDS = 1.0
#: Tells the name of the member that takes writes now, or None.
FindPrimary = Callable[[Served], "str | None"]


class StoreDoor:
    """What stands between the clients and the ends of one store (see stores.base.Door)."""

    def __init__(
        self,
        served: Served,
        edge: Edge,
        pointer_path: Path,
        find_primary: FindPrimary | None = None,
        requests: Requests | None = None,
        point_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.served = served
        #: The hold of requests; one that holds nothing where the store does without.
        self.requests: Requests = requests or NoRequestHold()
        #: A driver that knows better than a member's health endpoint, or than the edge's own check, sets its own.
        self.find_primary = find_primary or (ask_primary if served.health_port else None)
        self._edge = edge
        self._path = pointer_path
        self._point_seconds = point_seconds
        self._clock = clock
        self._wait = wait

    @classmethod
    def open(cls, store: str, paths: Paths = PATHS) -> StoreDoor:
        """The door of a store on this app server."""
        settings = EdgeSettings.load(paths)
        served = settings.store(store)
        edge = Edge(paths.socket)
        requests = RequestHold(settings, paths, edge) if served.hold != "connections" else None
        return cls(served, edge, paths.pointer(store), requests=requests)

    def pointer(self) -> str:
        """The end that serves, read from the disk; what this returns would also be read after a loss of power."""
        try:
            sync_file(self._path)
        except OSError as problem:
            raise EdgeError(f"the pointer {self._path} cannot be put on the app server's disk: {problem}") from problem
        return read_pointer(self._path, self.served.name)

    def decide(self, end: str) -> None:
        """Write the pointer and fsync it: the one commit point of a flip."""
        write_pointer(self._path, self.served.name, end)

    def hold(self, seconds: float = 6.0) -> None:
        """Let new requests wait, new connections, or one after the other, for so long at most."""
        if self.served.hold != "connections":
            self.requests.hold(seconds)
        if self.served.hold == "both":
            # Requests under way may still want a connection.
            self._await(self.requests.drained, min(_FINISH_SECONDS, seconds / 4))
        if self.served.hold != "requests":
            self._edge.limit(self.served.name, 0)

    def release(self) -> None:
        """End a hold; harmless without one."""
        try:
            self._edge.limit(self.served.name, self.served.maxconn)
        finally:
            self.requests.release()

    def held(self) -> bool:
        """Whether new work waits."""
        return self._edge.held(self.served.name) or self.requests.held()

    def connections(self) -> int:
        """How many connections may carry work now: once held requests have ended, those of pools carry none."""
        if self.served.hold != "connections" and self.requests.drained():
            return 0
        return int(self._edge.frontend(self.served.name)["scur"])

    def drop(self) -> None:
        """Close the connections that pass through the door."""
        servers = self._edge.servers(*(self._backend(end) for end in ENDS))
        self._edge.shutdown(*((one.backend, one.name) for one in servers))

    def point(self, end: str) -> None:
        """Send new connections to ``end``, and wait until the door sees its server as up."""
        self._edge.set_map(self._path, self.served.name, end)
        if not self._edge.map_holds(self._path, self.served.name, end):
            raise EdgeError(f"the edge did not take over the pointer of store {self.served.name}: see its journal")
        if not self._await(self._use_local if end == LOCAL else self._use_cluster, self._point_seconds):
            raise EdgeError(
                f"the edge sees no usable server of the {end} end of store {self.served.name} after "
                f"{self._point_seconds:.0f} s: see `tutorops status` on the app server"
            )

    def _await(self, reached: Callable[[], bool], seconds: float) -> bool:
        ends = self._clock() + seconds
        while not reached():
            if self._clock() >= ends:
                return False
            self._wait(0.02)
        return True

    def _use_local(self) -> bool:
        backend = self._backend(LOCAL)
        found = next((one for one in self._edge.servers(backend) if one.name == LOCAL), None)
        if found is None or not found.address:
            return False
        if found.maintenance:
            self._edge.set_state(backend, LOCAL, "ready")
            return False
        return found.up

    def _use_cluster(self) -> bool:
        backend = self._backend(CLUSTER)
        found = {one.name: one for one in self._edge.servers(backend)}
        if self.find_primary is None:
            return any(one.usable for one in found.values())
        primary = self.find_primary(self.served)
        if primary is None:
            return False
        if primary not in found:
            return False
        if found[primary].up:
            return True
        self._edge.set_health(backend, primary, "up")
        return False

    def _backend(self, end: str) -> str:
        return f"{self.served.name}_{end}"


def ask_primary(served: Served, timeout: float = 1.0) -> str | None:
    """Ask every member's health endpoint at once which one takes writes."""

    def takes_writes(member: Member) -> bool:
        connection = http.client.HTTPConnection(member.address, served.health_port, timeout=timeout)
        try:
            connection.request("GET", "/primary")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()

    if not served.members:
        return None
    with ThreadPoolExecutor(len(served.members)) as pool:
        answers = list(pool.map(takes_writes, served.members))
    found: Iterable[str] = (member.name for member, yes in zip(served.members, answers, strict=True) if yes)
    return next(iter(found), None)
