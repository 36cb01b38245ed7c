# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A platform of two containers, learners who do not wait for each other, and a holder that can be killed."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.tutorops.scale.plugins.module_utils.caddy import Caddy
from ansible_collections.tutorops.scale.plugins.module_utils.edge import EdgeSettings
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from ansible_collections.tutorops.scale.plugins.module_utils.request_hold import RequestHold
from edge_world import World, eventually, free_port

PROJECT = "tutorops-test-requests"
WEB = Path(__file__).with_name("web.py")
CADDYFILE = ":80 {\n\treverse_proxy lms:8000\n}\n"


def docker(*words: str, given: str | None = None) -> str:
    done = subprocess.run(["docker", *words], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def hold_in(paths: Paths) -> RequestHold:
    return RequestHold(EdgeSettings.load(paths), paths)


@dataclass
class Learners:
    """Requests at a steady rate, whether earlier ones were answered or not; half of them bring something."""

    address: str
    rate: int = 50
    path: str = "/0.01"
    port: int = 80
    answers: list[tuple[float, float, float]] = field(default_factory=list)
    """When it was sent, when the platform began to work on it, and how long its answer took."""
    failures: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Learners:
        self._clock = threading.Thread(target=self._tick)
        self._clock.start()
        return self

    def __exit__(self, *details: object) -> None:
        self._stopped.set()
        self._clock.join()
        for thread in self._threads:
            thread.join()

    def _tick(self) -> None:
        begun, number = time.monotonic(), 0
        while not self._stopped.wait(max(begun + number / self.rate - time.monotonic(), 0)):
            number += 1
            thread = threading.Thread(target=self.ask, args=("POST" if number % 2 else "GET",))
            thread.start()
            self._threads.append(thread)

    def ask(self, method: str = "GET", path: str = "") -> None:
        sent = time.time()
        connection = http.client.HTTPConnection(self.address, self.port, timeout=60)
        try:
            connection.request(method, path or self.path, b"x" * 1000 if method == "POST" else None)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                self.answers.append((sent, float(body), time.time() - sent))
            else:
                self.failures.append(
                    f"{method} sent {sent:.3f} answered {answer.status} after {time.time() - sent:.3f} s"
                )
        except OSError as problem:
            self.failures.append(f"{method} sent {sent:.3f} failed after {time.time() - sent:.3f} s: {problem!r}")
        finally:
            connection.close()

    @property
    def longest(self) -> float:
        return max(waited for _, _, waited in self.answers)

    def begun_between(self, begin: float, end: float) -> list[float]:
        return [began for _, began, _ in self.answers if begin < began < end]


class Platform(World):
    """Caddy and the web server as one compose project, and an edge that they reach."""

    def __init__(self, folder: Path, checkout: Path, run: Callable[..., str]) -> None:
        self.stop_containers()
        docker("network", "create", PROJECT)
        (plan,) = json.loads(docker("network", "inspect", PROJECT))[0]["IPAM"]["Config"]
        super().__init__(folder, checkout, run, address=plan["Gateway"])
        self.project = PROJECT
        self.requests = {"port": free_port(self.address), "slots": 2, "maxconn": 1000}
        self.paths.clients.write_text(f"{plan['Subnet']}\n", encoding="utf-8")
        self.configure()
        self.hold = hold_in(self.paths)

    def start(self) -> None:
        super().start()
        self._container("lms", "tutorops-lab/openedx", "python3", "-c", WEB.read_text(encoding="utf-8"))
        write = f"printf '{CADDYFILE}' >/etc/caddy/Caddyfile; exec caddy run --config /etc/caddy/Caddyfile"
        self._container("caddy", "tutorops-lab/caddy", "sh", "-c", write)
        self.caddy, self.web = self._find("caddy"), self._find("lms")
        learner = Learners(self.caddy)
        eventually(lambda: learner.ask() or learner.answers, 30.0)

    def _container(self, service: str, image: str, *command: str) -> None:
        docker("run", "--detach", "--init", "--name", f"{PROJECT}-{service}", "--network", PROJECT,
               "--network-alias", service, "--cpu-shares", "64",
               "--label", f"com.docker.compose.project={PROJECT}", "--label", "com.docker.compose.oneoff=False",
               "--label", f"com.docker.compose.service={service}", image, *command)  # fmt: skip

    def _find(self, service: str) -> str:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", "--format", form, f"{PROJECT}-{service}").strip()

    def proxy(self) -> Caddy:
        return Caddy(int(docker("inspect", "--format", "{{.State.Pid}}", f"{PROJECT}-caddy")))

    def starve_caddy(self) -> None:
        """Let it wait for the processor, so that connections wait for it."""
        docker("update", "--cpus", "0.15", f"{PROJECT}-caddy")

    def restart_caddy(self) -> None:
        """As its operator would."""
        docker("restart", "--time", "1", f"{PROJECT}-caddy")
        self.caddy = self._find("caddy")
        learner = Learners(self.caddy)
        eventually(lambda: learner.ask() or learner.answers, 30.0)

    def stop(self) -> None:
        super().stop()
        self.stop_containers()

    def stop_containers(self) -> None:
        names = [f"{PROJECT}-{name}" for name in ("caddy", "lms")]
        subprocess.run(["docker", "rm", "--force", *names], capture_output=True, check=False)
        subprocess.run(["docker", "network", "rm", PROJECT], capture_output=True, check=False)

    def configuration(self) -> str:
        """What Caddy runs with."""
        return docker("exec", f"{PROJECT}-caddy", "curl", "--silent", "http://localhost:2019/config/")

    def holder(self, seconds: float) -> subprocess.Popen[str]:
        """A process that holds requests, and then does nothing more."""
        program = (
            "import sys, time, pathlib; from request_world import Paths, hold_in\n"
            f"hold_in(Paths(*map(pathlib.Path, sys.argv[1:]))).hold({seconds}); print('held', flush=True)\n"
            "time.sleep(600)"
        )
        search = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(self.paths.etc), str(self.paths.var), str(self.paths.run)],
            env={**os.environ, "PYTHONPATH": search},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process
