# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The follower: keeps the edge true while containers come and go and processes die.

The address of a container changes whenever it is made anew, and weeks may lie between attach and flip. The follower
looks at what docker tells (at once on an event, and every ten seconds), and at what HAProxy has (every second), and
sets right what differs. It has each driver tend its container; apart from that it never opens or closes an end, and it
never writes a pointer.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .docker import Docker, DockerError, Events
from .edge import WAITING, Edge, EdgeError, EdgeSettings, Served, Server, read_pointer
from .flip_marker import FlipMarker
from .paths import PATHS, Paths, write_file
from .stores.base import CLUSTER, LOCAL, Probe, Tend

Say = Callable[[str], None]

#: How often a driver looks after its container, besides whenever docker tells something.
TEND_SECONDS = 2.0
EVENTS = ("start", "die", "destroy", "pause", "unpause", "rename")


def say(text: str) -> None:
    """Write a line to the journal."""
    print(text, flush=True)


@dataclass
class Follower:
    """Sets the edge right, one look at a time."""

    settings: EdgeSettings
    edge: Edge
    docker: Docker
    paths: Paths = PATHS
    probes: Mapping[str, Probe] = field(default_factory=dict)
    tends: Mapping[str, Tend] = field(default_factory=dict)
    tidy: Callable[[], None] = lambda: None
    """Ends a hold of requests that nobody owns any more."""
    clock: Callable[[], float] = time.time
    say: Say = say
    _addresses: dict[str, str | None] = field(default_factory=dict)
    _tended: dict[str, float] = field(default_factory=dict)
    _known: bool = False
    _subnets: list[str] = field(default_factory=list)
    _trouble: dict[str, str] = field(default_factory=dict)

    def look(self) -> None:
        """Ask docker where the containers are. While it does not answer, what was known stays."""
        project = self.settings.compose_project
        try:
            for name, served in self.settings.stores.items():
                self._addresses[name] = self.docker.address(project, served.service)
            self._subnets = self.docker.subnets(project)
            self._known = True
            self._tended.clear()
            self._told("docker", None)
        except DockerError as problem:
            self._told("docker", str(problem))

    def reconcile(self) -> None:
        """Make HAProxy agree with what is known."""
        try:
            self._clients()
            for served in self.settings.stores.values():
                self._hold(served)
                self._servers(served)
            self._remember()
            self._told("edge", None)
        except (EdgeError, OSError) as problem:
            self._told("edge", str(problem))

    def tend(self) -> None:
        """Have each driver look after its container: now if something happened, or after a while."""
        self.tidy()
        for name, tend in self.tends.items():
            address, now = self._addresses.get(name), self.clock()
            if address and now - self._tended.get(name, float("-inf")) >= TEND_SECONDS:
                self._tended[name] = now
                tend(address, self.settings.stores[name].service_port)

    def _servers(self, served: Served) -> None:
        local, source, *members = (f"{served.name}_{part}" for part in (LOCAL, "source", CLUSTER, "way_back"))
        address = self._addresses.get(served.name)
        servers = self.edge.servers(local, source, *members)
        for server in servers:
            if server.name == LOCAL and server.backend in (local, source):
                if address:
                    self._move(server, address, served.service_port)
                if server.backend == local:
                    self._admit(server, self._closed(served, address))
                else:
                    self._admit(server, self._known and not address)
        for backend in members:
            self._members(backend, [one for one in servers if one.backend == backend and one.name != WAITING])

    def _members(self, backend: str, members: list[Server]) -> None:
        """Let clients go whose member is none for them any more; it may be frozen, or without power."""
        down = [(backend, one.name) for one in members if not one.up]
        busy = self.edge.busy(backend) if down else {}
        left = [one for one in down if busy.get(one)]
        if left:
            self.edge.shutdown(*left)

    def _move(self, server: Server, address: str, port: int) -> None:
        if (server.address, server.port) == (address, port):
            return
        self.edge.set_address(server.backend, server.name, address, port)
        if server.address:
            # The far side of these is gone without a word; whoever waits for it would wait for hours.
            self.edge.shutdown((server.backend, server.name))
        self.say(f"{server.backend}: the container is at {address}:{port}, it was at {server.address}:{server.port}")

    def _admit(self, server: Server, closed: bool | None) -> None:
        if closed is None or closed == server.maintenance:
            return
        self.edge.set_state(server.backend, server.name, "maint" if closed else "ready")
        self.say(f"{server.backend}: {'takes no connections' if closed else 'takes connections'}")

    def _closed(self, served: Served, address: str | None) -> bool | None:
        """Whether the local end has to take no connections; None: leave it as it is."""
        marker = FlipMarker.read(self.paths.flip(served.name))
        if (marker is not None and marker.alive()) or not self._known:
            return None
        if not address or read_pointer(self.paths.pointer(served.name), served.name) == CLUSTER:
            return True
        probe = self.probes.get(served.name)
        return probe(address, served.service_port) if probe is not None else False

    def _hold(self, served: Served) -> None:
        """End a hold that nobody owns any more."""
        if not self.edge.held(served.name):
            return
        marker = FlipMarker.read(self.paths.flip(served.name))
        if marker is None or (not marker.alive() and self.clock() > marker.hold_ends):
            self.edge.limit(served.name, served.maxconn)
            self.say(f"{served.name}: released a hold whose owner is gone")

    def _clients(self) -> None:
        """Let the networks of the project's containers in, and no others."""
        wanted = {"127.0.0.0/8", f"{self.settings.address}/32", *self.settings.client_networks, *self._subnets}
        listed = set(self.paths.clients.read_text(encoding="utf-8").split()) if self.paths.clients.exists() else set()
        if not self._known:
            # Until docker has answered, whoever was let in before stays so.
            wanted |= listed
        if listed != wanted:
            write_file(self.paths.clients, "\n".join(sorted(wanted)) + "\n", mode=0o644)
        has = set(self.edge.entries(self.paths.clients))
        for entry in sorted(wanted - has):
            self.edge.add_entry(self.paths.clients, entry)
        for entry in sorted(has - wanted):
            self.edge.delete_entry(self.paths.clients, entry)
        if wanted != has:
            self.say(f"clients of the edge: {', '.join(sorted(wanted))}")

    def _remember(self) -> None:
        """Write what HAProxy reads when it starts again."""
        state = self.edge.state()
        try:
            before = self.paths.server_state.read_text(encoding="utf-8")
        except FileNotFoundError:
            before = ""
        if _without_ages(state) != _without_ages(before):
            write_file(self.paths.server_state, state, mode=0o644)

    def _told(self, subject: str, trouble: str | None) -> None:
        """Say trouble when it begins and when it ends, not every second."""
        before = self._trouble.get(subject)
        if trouble == before:
            return
        if trouble is None:
            self._trouble.pop(subject, None)
            self.say(f"{subject}: answers again")
        else:
            self._trouble[subject] = trouble
            self.say(trouble)


def forget_members(state: str) -> str:
    """The state for a start after a stop: containers where they were, but no member of a cluster up before its check.

    HAProxy takes a checked server as up until its first check, or as up as it was; after a stop that may be a member
    that is no primary any more, whose refusals clients would see.
    """
    lines = []
    for line in state.splitlines():
        words = line.split()
        if len(words) > 18 and words[1].endswith(("_cluster", "_way_back")) and words[3] != WAITING:
            # Operational state and health: stopped, none.
            words[5] = words[12] = "0"
            line = " ".join(words)
        lines.append(line)
    return "\n".join(lines) + "\n"


def _without_ages(state: str) -> list[list[str]]:
    """A state without the time since each server's last change, and without its checks' course."""
    rows = (line.split() for line in state.splitlines())
    return [row[:9] + row[15:] if len(row) > 16 else row for row in rows]


def run(follower: Follower, stopped: Callable[[], bool] = lambda: False, tick: float = 1.0, full: float = 10.0) -> None:
    """Follow until stopped."""
    events: Events | None = None
    looked = float("-inf")
    while not stopped():
        if events is None:
            # Listen first, look then: what happens in between is not missed.
            try:
                events = follower.docker.events(follower.settings.compose_project, EVENTS)
            except OSError:
                events = None
            looked = float("-inf")
        if time.monotonic() - looked >= full:
            follower.look()
            looked = time.monotonic()
        follower.reconcile()
        follower.tend()
        happened = _wait(events, tick)
        if happened is None and events is not None:
            events.close()
            events = None
        elif happened:
            looked = float("-inf")
    if events is not None:
        events.close()


def _wait(events: Events | None, seconds: float) -> bool | None:
    """Wait for events: True when there were some, False when not, None when there will be no more."""
    if events is None:
        time.sleep(seconds)
        return False
    with selectors.DefaultSelector() as selector:
        selector.register(events.stream, selectors.EVENT_READ)
        if not selector.select(seconds):
            return False
    return bool(os.read(events.stream.fileno(), 1 << 16)) or None
