# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A world to roll a platform in: containers, a compose that starts them, gates, Caddy, and clients that never rest.

Time is virtual. Every call lets some of it pass, and in each moment a client asks every web service by its name, as
Caddy does: it takes one that does not refuse, the least fit of them, as chance would one day. What it gets other than
an answer of a container that is ready is a failure.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.caddy import Upstream
from ansible_collections.tutorops.scale.plugins.module_utils.netns import NetworkError, Response, Socket
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from ansible_collections.tutorops.scale.plugins.module_utils.roll import Tools

EPOCH = 1_800_000_000.0
PORT = 8000
CADDY = "10.9.0.2"
LISTEN, ESTABLISHED = 10, 1


class Crash(BaseException):
    """The process that rolls is gone."""


@dataclass
class Box:
    """One container."""

    id: str
    service: str
    number: int
    name: str
    pid: int
    definition: str
    started: float
    settings: str
    boots: float = 2.0
    """Seconds until it listens, or consumes; infinite for one that never comes up."""
    sick: float = 0.0
    """Seconds for which it answers 500 once it listens."""
    dies_once: bool = False
    running: bool = True
    published: bool = False
    gate_until: float = -1.0
    requests: list[float] = field(default_factory=list)
    """When the requests under way end."""
    kept: bool = False
    """Whether Caddy keeps a connection to it and uses that under load."""
    tasks_until: float = 0.0
    asked_to_end: int = 0


@dataclass
class Printed:
    stdout: str = ""
    stderr: str = ""


class World:
    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.root = folder / "root"
        self.paths = Paths(folder / "etc", folder / "var", folder / "run")
        self.file = self.root / "env" / "apps" / "openedx" / "config" / "lms.env.yml"
        self.file.parent.mkdir(parents=True)
        self.boxes: list[Box] = []
        self.definitions: dict[str, str] = {}
        self.made_as: dict[str, str] = {}
        self.workers: set[str] = set()
        self.plain: set[str] = set()
        self.next: dict[str, Any] = {}
        self.failures: list[str] = []
        self.served: set[str] = set()
        self.log: list[str] = []
        self.calls = 0
        self.crash_at = 0
        self.request_seconds = 0.25
        self.task_seconds = 0.0
        self.pids = 100
        self.caddy_told = 0
        self.keeper = False
        self.render("found")

    # the platform

    def render(self, content: str) -> None:
        """Have Tutor save this; the time of the file changes even where the content does not."""
        self.file.write_text(content, encoding="utf-8")
        os.utime(self.file, (EPOCH + self.now, EPOCH + self.now))

    def add(self, service: str, definition: str = "d1", **more: Any) -> Box:
        """Start a container, and let it come up."""
        self.definitions.setdefault(service, definition)
        box = self._start(service, 1 + max((box.number for box in self.of(service)), default=0), definition)
        for name, value in more.items():
            setattr(box, name, value)
        self.advance(box.boots + 1 if box.boots < 1e6 else 1.0)
        return box

    def _start(self, service: str, number: int, definition: str, **more: Any) -> Box:
        self.pids += 1
        name = f"tutor_local-{service}-{number}"
        settings = self.file.read_text(encoding="utf-8")
        box = Box(f"id{self.pids}", service, number, name, self.pids, definition, self.now, settings, **more)
        if any(other.name == name for other in self.boxes):
            raise AssertionError(f"the name {name} is taken")
        box.tasks_until = self.now + self.task_seconds
        self.boxes.append(box)
        return box

    def of(self, service: str) -> list[Box]:
        return [box for box in self.boxes if box.service == service]

    def only(self, service: str) -> Box:
        (box,) = self.of(service)
        return box

    def box(self, key: str | int) -> Box | None:
        return next((box for box in self.boxes if key in (box.id, box.pid)), None)

    def web(self, box: Box) -> bool:
        return box.service not in self.workers | self.plain | {"caddy"}

    def up(self, box: Box) -> bool:
        return box.running and self.now - box.started >= box.boots

    def well(self, box: Box) -> bool:
        return self.now - box.started >= box.boots + box.sick

    # time and clients

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 0.1)
            self._move()

    def _move(self) -> None:
        for box in self.boxes:
            box.requests = [end for end in box.requests if end > self.now]
            if box.dies_once and self.now - box.started > 1:
                box.dies_once, box.started, box.pid, box.gate_until = False, self.now, box.pid + 1000, -1.0
            if box.asked_to_end and box.running and box.tasks_until <= self.now:
                box.running = False
        for service in {box.service for box in self.boxes if self.web(box)}:
            self._ask(service)

    def _ask(self, service: str) -> None:
        running = [box for box in self.of(service) if box.running]
        target = next((box for box in running if box.kept and self.up(box)), None)
        open_ones = [box for box in running if self.up(box) and box.gate_until <= self.now]
        target = target or min(open_ones, key=self.well, default=None)
        if target is None:
            self.failures.append(f"{self.now:.1f}: nobody answers for {service}")
        elif not self.well(target):
            self.failures.append(f"{self.now:.1f}: {target.name} answered 500")
        else:
            self.served.add(target.id)
            target.requests.append(self.now + self.request_seconds)

    def _call(self, text: str) -> None:
        self.calls += 1
        self.log.append(text)
        if self.calls == self.crash_at:
            raise Crash(text)
        self.advance(0.1)

    # tutor.Tutor

    @property
    def project_name(self) -> str:
        return "tutor_local"

    def service_hashes(self) -> dict[str, str]:
        self._call("hashes")
        return dict(self.definitions)

    def dc(self, *args: str, check: bool = True) -> Printed:
        self._call(f"dc {' '.join(args)}")
        assert args[:3] == ("up", "--detach", "--no-recreate")
        scales = dict(word.split("=") for word in args if "=" in word)
        for service, count in scales.items():
            running = [box for box in self.of(service) if box.running]
            for _missing in range(int(count) - len(running)):
                number = 1 + max(box.number for box in self.of(service))
                definition = self.made_as.get(service, self.definitions[service])
                box = self._start(service, number, definition, **self.next)
                if self.keeper:
                    box.gate_until = self.now + 15
        self.advance(1.0)
        return Printed()

    def docker(self, *args: str, check: bool = True) -> Printed:
        self._call(f"docker {' '.join(args)}")
        verb, last = args[0], args[-1]
        if verb == "ps":
            services = [word.rpartition("=")[2] for word in args if ".service=" in word]
            return Printed("\n".join(box.id for box in self.boxes if not services or box.service in services))
        if verb == "inspect":
            return Printed(json.dumps([self._inspected(box) for box in self.boxes if box.id in args]))
        if verb == "rename":
            box = self.box(args[1])
            assert box is not None and all(other.name != args[2] for other in self.boxes)
            box.name = args[2]
            return Printed()
        box = self.box(last)
        assert box is not None, args
        if verb == "logs":
            ending = "worker: Warm shutdown (MainProcess)\n" * box.asked_to_end
            return Printed(stderr=(f"celery@{box.id} ready.\n" if self.up(box) else "starting\n") + ending)
        if verb == "kill":
            box.asked_to_end += 1
            if box.asked_to_end > 1:
                self.failures.append(f"{box.name} drops its tasks")
        elif verb in ("stop", "rm"):
            self._end(box)
            if verb == "rm":
                self.boxes.remove(box)
        return Printed()

    def _end(self, box: Box) -> None:
        if box.running and any(end > self.now for end in box.requests):
            self.failures.append(f"{self.now:.1f}: {box.name} was stopped with requests under way")
        if box.running and box.service in self.workers and box.tasks_until > self.now:
            self.failures.append(f"{self.now:.1f}: {box.name} was stopped with tasks under way")
        box.running = False

    def _inspected(self, box: Box) -> dict[str, Any]:
        started = datetime.fromtimestamp(EPOCH + box.started, tz=timezone.utc)
        celery = ["celery", "--app=lms.celery", "worker"] if box.service in self.workers else ["uwsgi"]
        address = CADDY if box.service == "caddy" else "10.9.0.9"
        sources = [str(self.file.parent)] if box.service not in ("caddy", "mysql") else []
        return {
            "Id": box.id,
            "Name": f"/{box.name}",
            "Path": celery[0],
            "Args": celery[1:],
            "Config": {
                "Labels": {
                    "com.docker.compose.service": box.service,
                    "com.docker.compose.container-number": str(box.number),
                    "com.docker.compose.config-hash": box.definition,
                }
            },
            "State": {
                "Status": "running" if box.running else "exited",
                "Pid": box.pid if box.running else 0,
                "StartedAt": started.strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
            },
            "HostConfig": {"PortBindings": {"80/tcp": []} if box.published else {}},
            "NetworkSettings": {"Networks": {"default": {"IPAddress": address}}},
            "Mounts": [{"Type": "bind", "Source": source} for source in sources],
        }

    # the network

    def sockets(self, pid: int) -> list[Socket]:
        box = self.box(pid)
        if box is None or not self.web(box) or not self.up(box):
            return []
        found = [Socket("0.0.0.0", PORT, "0.0.0.0", 0, LISTEN, 0)]
        remotes = [CADDY] * box.kept + ["10.9.0.7"] * len(box.requests)
        return found + [Socket("10.9.0.9", PORT, remote, 4000 + n, ESTABLISHED, 0) for n, remote in enumerate(remotes)]

    def request(self, pid: int, port: int, *_more: Any, **_options: Any) -> Response:
        box = self.box(pid)
        if box is None or not self.up(box) or port != PORT:
            raise NetworkError(f"port {port} did not answer")
        return Response(200 if self.well(box) else 500, b"")

    def alive(self, pid: int) -> bool:
        box = self.box(pid)
        return box is not None and box.running

    def tools(self) -> Tools:
        return Tools(
            gate=FakeGate(self),
            doorkeeper=self.doorkeeper,
            sockets=self.sockets,
            alive=self.alive,
            request=self.request,
            caddy=lambda _pid: FakeCaddy(self),
            clock=lambda: self.now,
            sleep=self.advance,
            paths=self.paths,
        )

    @contextmanager
    def doorkeeper(self, _gate: Any) -> Iterator[Any]:
        self.keeper = True
        try:
            yield Keeper()
        finally:
            self.keeper = False


class Keeper:
    def release(self, keep: set[int]) -> None:
        assert keep


class FakeGate:
    """Gates of the world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def check(self) -> None:
        """Nothing is missing here."""

    def close(self, pid: int, seconds: int = 15) -> None:
        self._set(pid, f"close {pid}", self.world.now + seconds)

    def open(self, pid: int) -> None:
        self._set(pid, f"open {pid}", -1.0)

    def _set(self, pid: int, text: str, until: float) -> None:
        self.world._call(text)
        box = self.world.box(pid)
        if box is not None:
            box.gate_until = until


class FakeCaddy:
    def __init__(self, world: World) -> None:
        self.world = world

    def upstreams(self) -> Sequence[Upstream]:
        return [Upstream("lms", PORT, ("lms.test",)), Upstream("cms", PORT, ("studio.test",))]

    def forget_connections(self) -> None:
        self.world._call("caddy forgets")
        self.world.caddy_told += 1
        for box in self.world.boxes:
            box.kept = False
