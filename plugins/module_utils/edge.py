# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge: what it serves, HAProxy's admin socket, and the pointers."""

from __future__ import annotations

import csv
import io
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .paths import PATHS, Paths, read_json, write_file
from .stores.base import CLUSTER, LOCAL, StoreError

ENDS = (LOCAL, CLUSTER)
#: What a store holds at a flip: new connections at the edge, learners' requests at Caddy, or both.
HOLDS = ("connections", "requests", "both")
#: The server of a backend that takes a connection while no other can: it always refuses, so HAProxy tries again.
WAITING = "waiting"
#: The port of a local server until the follower has found the container: nothing listens there.
NO_PORT = 1
#: A line of `show sess` whose connection to its server is established; HAProxy 2.4 calls that side s1, 3.0 scb.
_ESTABLISHED = re.compile(r"(0x[0-9a-f]+): .* be=(\S+) srv=(\S+) .* (?:s1|scb)=\[8,")


class EdgeError(StoreError):
    """The edge refused or did not answer; the message is one sentence for the operator."""


@dataclass(frozen=True)
class Member:
    """A member of a store's cluster."""

    name: str
    address: str
    port: int


@dataclass(frozen=True)
class Served:
    """What the edge serves for one store."""

    name: str
    port: int
    service: str
    service_port: int
    source_port: int = 0
    health_port: int = 0
    maxconn: int = 2000
    hold: str = "connections"
    members: tuple[Member, ...] = ()


@dataclass(frozen=True)
class EdgeSettings:
    """The content of edge.json."""

    address: str
    compose_project: str
    stores: Mapping[str, Served] = field(default_factory=dict)
    client_networks: tuple[str, ...] = ()
    requests_port: int = 0
    requests_slots: int = 0
    requests_maxconn: int = 2000
    """Where learners' requests may wait: so many ports from that one on, and how many on each."""

    def slot(self, number: int) -> str:
        """The frontend of one of the ports where requests may wait."""
        return f"requests_{number + 1}"

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> EdgeSettings:
        """Read what edge.json holds."""
        stores = {}
        for name, one in given["stores"].items():
            members = tuple(Member(each["name"], each["address"], int(each["port"])) for each in one.get("members", []))
            numbers = {
                key: int(one[key])
                for key in ("port", "service_port", "source_port", "health_port", "maxconn")
                if one.get(key) is not None
            }
            hold = one.get("hold", "connections")
            if hold not in HOLDS:
                raise EdgeError(f"edge.json holds '{hold}' for store {name}, but it can only hold {', '.join(HOLDS)}")
            stores[name] = Served(name=name, service=one["service"], members=members, hold=hold, **numbers)
        return cls(
            address=given["address"],
            compose_project=given["compose_project"],
            stores=stores,
            client_networks=tuple(given.get("client_networks", ())),
            **{f"requests_{name}": int(value) for name, value in (given.get("requests") or {}).items()},
        )

    @classmethod
    def load(cls, paths: Paths = PATHS) -> EdgeSettings:
        """Read edge.json."""
        found = read_json(paths.edge)
        if found is None:
            raise EdgeError(f"{paths.edge} is missing on the app server: run offload.yml, which sets up the edge")
        return cls.from_dict(found)

    def store(self, name: str) -> Served:
        """What is served for a store."""
        if name not in self.stores:
            raise EdgeError(f"the edge serves no store '{name}', only {', '.join(sorted(self.stores)) or 'none'}")
        return self.stores[name]


@dataclass(frozen=True)
class Server:
    """A server of a backend as HAProxy sees it now."""

    backend: str
    name: str
    address: str
    port: int
    maintenance: bool
    up: bool

    @property
    def usable(self) -> bool:
        """Whether it can serve a client."""
        return self.name != WAITING and self.up and not self.maintenance and bool(self.address)


class Edge:
    """HAProxy's admin socket. Every call raises EdgeError when HAProxy refuses, or does not answer in time."""

    def __init__(self, path: Path = PATHS.socket, timeout: float = 2.0) -> None:
        self._path = path
        self._timeout = timeout

    def command(self, *lines: str) -> str:
        """Send commands in one connection, and return what they print."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
                channel.settimeout(self._timeout)
                channel.connect(str(self._path))
                channel.sendall((";".join(lines) + "\n").encode())
                parts = []
                while part := channel.recv(65536):
                    parts.append(part)
        except OSError as problem:
            raise EdgeError(
                f"the edge does not answer on {self._path} ({problem}): see `systemctl status tutorops-edge`"
            ) from problem
        return b"".join(parts).decode()

    def tell(self, line: str, *accepted: str) -> str:
        """Send a command that prints nothing, or something that begins with ``accepted``, when it works."""
        answer = self.command(line).strip()
        if answer and not answer.startswith(accepted or ("\0",)):
            raise EdgeError(f"the edge refused '{line}': {answer.splitlines()[0]}")
        return answer

    def process(self) -> str:
        """What tells one HAProxy process from the next one."""
        found = self._information()
        return f"{found.get('Pid', '')} {found.get('Start_time_sec', '')}"

    def started(self, today: float) -> float:
        """When the HAProxy process that runs began, at the latest, in seconds since 1970."""
        return today - int(self._information()["Uptime_sec"])

    def limit(self, frontend: str, connections: int) -> None:
        """Accept so many connections; 0 lets new ones wait in the listen queue."""
        self.tell(f"set maxconn frontend {frontend} {connections}")

    def frontend(self, name: str) -> dict[str, str]:
        """The statistics of a frontend."""
        for row in self._statistics(f"show stat {name} 1 -1"):
            if row.get("svname") == "FRONTEND":
                return row
        raise EdgeError(f"the edge has no frontend '{name}': run offload.yml, which writes its configuration")

    def held(self, frontend: str) -> bool:
        """Whether new connections wait."""
        return self.frontend(frontend).get("slim") == "0"

    def state(self) -> str:
        """The state of all servers, in the form that HAProxy reads when it starts."""
        return self.command("show servers state").strip() + "\n"

    def servers(self, *backends: str) -> list[Server]:
        """The servers of some backends, or of all."""
        states = {}
        for line in self.state().splitlines():
            words = line.split()
            # be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state ... srv_port (19th)
            if len(words) >= 19 and not line.startswith("#"):
                states[words[1], words[3]] = Server(
                    backend=words[1],
                    name=words[3],
                    address="" if words[4] == "-" or words[18] == str(NO_PORT) else words[4],
                    port=int(words[18]),
                    maintenance=int(words[6]) != 0,
                    up=int(words[5]) > 0,
                )
        return [one for one in states.values() if not backends or one.backend in backends]

    def set_address(self, backend: str, server: str, address: str, port: int) -> None:
        """Move a server; connections that it has go on."""
        line = f"set server {backend}/{server} addr {address} port {port}"
        self.tell(line, "IP changed", "port changed", "no need to change", "nothing changed")

    def set_state(self, backend: str, server: str, state: str) -> None:
        """Make a server ``ready``, or put it in ``maint`` or ``drain``."""
        self.tell(f"set server {backend}/{server} state {state}")

    def set_health(self, backend: str, server: str, health: str) -> None:
        """Take a server as ``up`` or ``down`` until its next check says otherwise."""
        self.tell(f"set server {backend}/{server} health {health}")

    def busy(self, *backends: str) -> dict[tuple[str, str], int]:
        """How many sessions the servers of some backends have, by backend and server."""
        rows = (row for backend in backends for row in self._statistics(f"show stat {backend} 4 -1"))
        return {(row["pxname"], row["svname"]): int(row["scur"] or 0) for row in rows}

    def shutdown(self, *servers: tuple[str, str]) -> None:
        """Close the connections of servers, each one given as its backend and its name.

        Not by `shutdown sessions server`, nor by `on-marked-down`: HAProxy 3.0.11 leaves the client of a session whose
        connection to the server is only being made waiting for ever (measured). Such a one is tried elsewhere anyway.
        """
        lines = map(_ESTABLISHED.match, self.command("show sess").splitlines())
        for found in filter(None, lines):
            if (found[2], found[3]) in servers:
                self.tell(f"shutdown session {found[1]}", "No such session")

    def set_map(self, path: Path, key: str, value: str) -> None:
        """Change an entry of a map in memory."""
        self.tell(f"set map {path} {key} {value}")

    def map_holds(self, path: Path, key: str, value: str) -> bool:
        """Whether an entry of a map in memory has a value."""
        rows = (line.split() for line in self.command(f"show map {path}").splitlines())
        return any(row[1:] == [key, value] for row in rows)

    def entries(self, path: Path) -> list[str]:
        """The entries of an ACL file in memory."""
        return [line.split(" ", 1)[1].strip() for line in self.command(f"show acl {path}").splitlines() if " " in line]

    def add_entry(self, path: Path, entry: str) -> None:
        """Add an entry to an ACL in memory."""
        self.tell(f"add acl {path} {entry}")

    def delete_entry(self, path: Path, entry: str) -> None:
        """Delete an entry of an ACL in memory."""
        self.tell(f"del acl {path} {entry}")

    def _information(self) -> dict[str, str]:
        return dict(line.split(": ", 1) for line in self.command("show info").splitlines() if ": " in line)

    def _statistics(self, line: str) -> list[dict[str, str]]:
        text = self.command(line)
        return list(csv.DictReader(io.StringIO(text.lstrip("# ").strip() + "\n")))


def read_pointer(path: Path, store: str) -> str:
    """The end that a pointer file names."""
    try:
        words = path.read_text(encoding="utf-8").split()
    except OSError as problem:
        raise EdgeError(
            f"the pointer {path} cannot be read on the app server ({problem}): it tells which end serves, "
            "restore it before anything else"
        ) from problem
    if len(words) != 2 or words[0] != store or words[1] not in ENDS:
        raise EdgeError(f"the pointer {path} holds '{' '.join(words)}' instead of '{store} local' or '{store} cluster'")
    return words[1]


def write_pointer(path: Path, store: str, end: str) -> None:
    """Name an end, for good: when this returns the pointer is on the disk."""
    if end not in ENDS:
        raise EdgeError(f"an end is called local or cluster, not '{end}'")
    try:
        write_file(path, f"{store} {end}\n", mode=0o644, durable=True)
    except OSError as problem:
        raise EdgeError(f"the pointer {path} cannot be written on the app server: {problem}") from problem
