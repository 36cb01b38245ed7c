# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around an edge: servers that say who they are, members that say whether they are primary, and clients."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from ansible_collections.tutorops.scale.plugins.module_utils.door import StoreDoor
from ansible_collections.tutorops.scale.plugins.module_utils.edge import Edge, EdgeError, EdgeSettings
from ansible_collections.tutorops.scale.plugins.module_utils.edge_service import EdgeService
from ansible_collections.tutorops.scale.plugins.module_utils.follower import Follower
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Probe

#: Loopback addresses stand for hosts.
EDGE, CONTAINER, OTHER_CONTAINER, DB1, DB2 = "127.8.0.1", "127.8.0.2", "127.8.0.3", "127.8.1.1", "127.8.1.2"


def free_port(address: str = EDGE) -> int:
    with socket.socket() as sock:
        sock.bind((address, 0))
        port: int = sock.getsockname()[1]
        return port


def eventually(check: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for what has to come true."""
    ends = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < ends, "it did not come true in time"
        time.sleep(0.02)


class Server:
    """Greets everybody with its name, as a MySQL server speaks first, and then echoes."""

    def __init__(self, name: str, address: str, port: int) -> None:
        self._name = name
        self._socket = socket.create_server((address, port))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self._open.append(client)
                threading.Thread(target=self._speak, args=(client,), daemon=True).start()

    def _speak(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client.sendall(f"{self._name}\n".encode())
            while heard := client.recv(100):
                client.sendall(heard)

    def close(self) -> None:
        """Die: connections break, and new ones are refused."""
        for sock in [self._socket, *self._open]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


class Health:
    """A member's health endpoint."""

    def __init__(self, address: str, port: int) -> None:
        health = self
        self.primary = False

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if health.primary and self.path == "/primary" else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer((address, port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Client:
    """Connects in the background and tells whom it reached, or that it failed."""

    def __init__(self, port: int, source: str = "") -> None:
        self.socket = socket.socket()
        self.socket.settimeout(20)
        if source:
            self.socket.bind((source, 0))
        self._port = port
        self.reached: str | None = None
        self.thread = threading.Thread(target=self._connect, daemon=True)
        self.thread.start()

    def _connect(self) -> None:
        try:
            self.socket.connect((EDGE, self._port))
            self.reached = self.socket.recv(100).decode().strip() or "cut off"
        except OSError as problem:
            self.reached = f"failed: {problem}"

    def result(self) -> str | None:
        """Whom it reached."""
        self.thread.join(20)
        return self.reached

    def alive(self) -> bool:
        """Whether its connection still carries something."""
        try:
            self.socket.sendall(b"?")
            return self.socket.recv(1) == b"?"
        except OSError:
            return False


@dataclass
class FakeDocker:
    """The containers that the follower is told of."""

    found: str | None = None
    networks: list[str] = field(default_factory=list)

    def address(self, project: str, service: str) -> str | None:
        return self.found

    def subnets(self, project: str) -> list[str]:
        return self.networks


class World:
    """One edge, one store, its container and its two members; ``stores`` and ``requests`` take more."""

    def __init__(self, folder: Path, checkout: Path, run: Callable[..., str], address: str = EDGE) -> None:
        self.address = address
        self.stores: dict[str, dict[str, object]] = {}
        self.requests: dict[str, int] = {}
        self.project = "tutor_local"
        self.paths = Paths(folder / "etc", folder / "var", folder / "run")
        self._template = checkout / "roles" / "edge" / "templates" / "haproxy.cfg.j2"
        self._run = run
        self.port, self.source_port, self.server_port, self.health_port = (free_port() for _ in range(4))
        self.health = {name: Health(address, self.health_port) for name, address in (("db1", DB1), ("db2", DB2))}
        self.servers: dict[str, Server] = {}
        self.edge = Edge(self.paths.socket)
        self.docker = FakeDocker()
        self.probes: dict[str, Probe] = {}
        self.said: list[str] = []
        for path in (self.paths.etc, self.paths.run, self.paths.var / "pointers"):
            path.mkdir(parents=True)
        self.paths.clients.write_text("127.0.0.0/8\n", encoding="utf-8")
        self.write_pointer("local")
        self.configure()

    @property
    def settings(self) -> dict[str, object]:
        members = [{"name": "db1", "address": DB1}, {"name": "db2", "address": DB2}]
        store = {
            "port": self.port,
            "service": "mysql",
            "service_port": self.server_port,
            "source_port": self.source_port,
            "health_port": self.health_port,
            "members": [{**member, "port": self.server_port} for member in members],
        }
        return {
            "address": self.address,
            "compose_project": self.project,
            "requests": self.requests,
            "stores": {"mysql": store, **self.stores},
        }

    def configure(self, patience: int = 30) -> None:
        """Write what role edge writes."""
        self.paths.edge.write_text(json.dumps(self.settings), encoding="utf-8")
        environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
        environment.filters["comment"] = lambda text: f"# {text}"
        text = environment.from_string(self._template.read_text(encoding="utf-8")).render(
            ansible_managed="Ansible managed",
            __edge_etc=str(self.paths.etc),
            __edge_state=str(self.paths.var),
            __edge_requests=self.requests,
            edge_address=self.address,
            edge_patience=patience,
            edge_stores=self.settings["stores"],
        )
        self.paths.configuration.write_text(text.replace("/run/tutorops/", f"{self.paths.run}/"), encoding="utf-8")

    def write_pointer(self, end: str, store: str = "mysql") -> None:
        self.paths.pointer(store).write_text(f"{store} {end}\n", encoding="utf-8")

    def start(self) -> None:
        """Start HAProxy as its unit does."""
        EdgeService(self.paths).prepare_start()
        pidfile = self.paths.run / "edge.pid"
        self._run("haproxy", "-W", "-D", "-f", str(self.paths.configuration), "-p", str(pidfile))
        eventually(self.answers)

    def reload(self) -> None:
        before = self.edge.process()
        EdgeService(self.paths).prepare_reload(1)
        self.signal("USR2")
        eventually(lambda: self.answers() and self.edge.process() != before)

    def kill(self) -> None:
        """Power off."""
        workers = self._run("pgrep", "--full", str(self.paths.configuration)).split()
        self._run("kill", "-KILL", *workers)
        eventually(lambda: not self.answers())

    def signal(self, name: str) -> None:
        self._run("kill", f"-{name}", (self.paths.run / "edge.pid").read_text(encoding="utf-8").strip())

    def answers(self) -> bool:
        try:
            return bool(self.edge.process().strip())
        except EdgeError:
            return False

    def serve(self, name: str, address: str) -> Server:
        """Have a server of that name run at an address."""
        self.servers[name] = Server(name, address, self.server_port)
        return self.servers[name]

    def silent(self, name: str, address: str) -> None:
        """Have an address that answers nothing, as a host without power: what connects there waits."""
        listener = socket.socket()
        listener.bind((address, self.server_port))
        listener.listen(0)
        self._silent = [listener, *(socket.socket() for _ in range(2))]
        for one in self._silent[1:]:
            one.setblocking(False)
            one.connect_ex((address, self.server_port))

    def follower(self, probes: Mapping[str, Probe] | None = None) -> Follower:
        given = EdgeSettings.load(self.paths)
        return Follower(given, self.edge, self.docker, self.paths, probes or {}, say=self.said.append)  # type: ignore[arg-type]

    def follow(self, probes: Mapping[str, Probe] | None = None) -> Follower:
        """Let a new follower look once."""
        follower = self.follower(probes)
        follower.look()
        follower.reconcile()
        return follower

    def door(self) -> StoreDoor:
        return StoreDoor.open("mysql", self.paths)

    def client(self, source: str = "", port: int = 0) -> Client:
        return Client(port or self.port, source)

    def stop(self) -> None:
        if self.answers():
            self.kill()
        for each in [*self.servers.values(), *self.health.values()]:
            each.close()
