# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling one service: a second container, which takes over before the first one goes (see roll.py)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence

from .caddy import CaddyError, Upstream
from .netns import NetworkError, Response, in_flight, listening
from .roll_state import Containers, Instance, Memory
from .roll_tools import Limits, Platform, Report, RollError, Tools
from .tutor_errors import TutorError

#: Where a service tells how it is; anything else is asked for its start page.
HEALTH_PATHS: Mapping[str, str] = {"lms": "/heartbeat", "cms": "/heartbeat", "notes": "/heartbeat/"}

_READY = re.compile(r"\S+ ready\.\s*$", re.MULTILINE)
_ENDING = re.compile(r"shutdown \(MainProcess\)")
_GATE_SECONDS = 15
_ANSWERS = 3
_BACKGROUND_SHARES, _USUAL_SHARES = 128, 1024


class ServiceRoll:
    """Rolls services one after the other."""

    def __init__(
        self,
        tutor: Platform,
        tools: Tools,
        limits: Limits,
        memory: Memory,
        report: Report,
        outdated: Callable[[Instance], bool],
        upstreams: Mapping[str, Upstream],
    ) -> None:
        self._tutor = tutor
        self._tools = tools
        self._limits = limits
        self._memory = memory
        self._report = report
        self._outdated = outdated
        self._upstreams = upstreams
        self._containers = Containers(tutor)

    def roll(self, service: str) -> None:
        """Replace every container of a service that is outdated; finishes what a dead roll began."""
        running = self._containers.running(service)
        if not running:
            raise RollError(f"{service} ended before it was rolled: start it with `tutor local start -d` first.")
        replicas = self._memory.replicas(service) or len(running)
        self._refuse_single(running[0])
        self._memory.begin(service, replicas)
        while True:
            running = self._containers.running(service)
            outdated = [one for one in running if self._outdated(one)]
            if not outdated:
                break
            fresh = [one for one in running if one not in outdated]
            # What a dead roll left behind may never have come up, so the measure is one that serves.
            old = next((one for one in outdated if self._serves(one)), outdated[0])
            web = self._serves(old)
            if len(running) <= replicas or not fresh:
                self._await(self._another(service, running, web), old, web)
            else:
                self._await(fresh[-1], old, web)
            self._retire(old, web)
        for extra in running[replicas:]:
            self._retire(extra, self._serves(extra))
        self._tidy(service, replicas)
        self._memory.end(service)

    def _serves(self, one: Instance) -> bool:
        """Whether others can connect to it: a web service, rather than a worker."""
        return bool(listening(self._tools.sockets(one.pid)))

    def _refuse_single(self, one: Instance) -> None:
        if one.published:
            raise RollError(
                f"{one.service} publishes a port of this host, so two of it cannot run side by side: "
                "use state restarted."
            )
        if not re.fullmatch(rf"{re.escape(self._tutor.project_name)}[-_]{re.escape(one.service)}[-_]\d+", one.name):
            raise RollError(
                f"{one.service} has the fixed container name {one.name}, so two of it cannot run side by side: take "
                "`container_name` out of the compose override, or use state restarted."
            )

    def _another(self, service: str, before: Sequence[Instance], web: bool) -> Instance:
        self._tools.say(f"{service}: starting a second container")
        known = {one.id for one in before}
        # Not --no-deps: compose up to 2.26 takes the dependencies into the hash that it compares at the next `start`.
        scale = ["up", "--detach", "--no-recreate"]
        for name, count in sorted({**self._containers.scaled(), service: len(before) + 1}.items()):
            scale += ["--scale", f"{name}={count}"]
        keeper = self._tools.doorkeeper(self._tools.gate) if web else contextlib.nullcontext(None)
        with keeper as watching:
            self._tutor.dc(*scale, service)
            added = [one for one in self._containers.running(service) if one.id not in known]
        if watching is not None:
            watching.release({one.pid for one in added})
        if not added:
            raise RollError(
                f"{service}: its new container ended at once, the old one still serves: "
                f"see `tutor local logs {service}`."
            )
        if web:
            self._tools.gate.close(added[0].pid, _GATE_SECONDS)
        if self._outdated(added[0]):
            self._tutor.docker("rm", "--force", added[0].id, check=False)
            raise RollError(
                f"{service}: compose made its new container from another definition than `tutor local dc config` "
                "tells; did somebody run `tutor config save` meanwhile? Run this again."
            )
        self._priority(added[0], _BACKGROUND_SHARES)
        return added[0]

    def _priority(self, one: Instance, shares: int) -> None:
        """Let a starting container, which loads the whole platform, give way to those that serve."""
        self._tutor.docker("update", "--cpu-shares", str(shares), one.id, check=False)

    # Waiting for the new one

    def _await(self, spare: Instance, old: Instance, web: bool) -> None:
        service = spare.service
        self._tools.say(f"{service}: waiting for the new container")
        reason = "it never ran"
        good = 0
        begun = steady = renewed = self._tools.clock()
        expected = self._expected(old) if web else {}
        look = spare
        while self._tools.clock() - begun < self._limits.ready:
            if not self._tools.alive(look.pid):
                good, reason = 0, "its process ended"
                self._tools.sleep(0.1)  # docker may start it again, without a gate
                again = self._containers.again(spare)
                if again is None:
                    continue
                look, steady, renewed = again, self._tools.clock(), 0.0
            now = self._tools.clock()
            if web and now - renewed > _GATE_SECONDS / 3:
                self._tools.gate.close(look.pid, _GATE_SECONDS)
                renewed = now
            reason = self._web_reason(look, expected) if web else self._worker_reason(look, now - steady)
            good = 0 if reason else good + 1
            if good >= (_ANSWERS if web else 1):
                self._priority(look, _USUAL_SHARES)
                if web:
                    self._tools.gate.open(look.pid)
                return
            self._tools.sleep(0.1 if not reason else 0.5)
        with contextlib.suppress(TutorError):
            self._tutor.docker("rm", "--force", spare.id)
        self._memory.end(service)
        raise RollError(
            f"{service}: its new container was not ready within {self._limits.ready:g} s ({reason}) and was removed; "
            f"the old one still serves. Find out why with `tutor local run {service} ...`, then run this again."
        )

    def _expected(self, old: Instance) -> dict[int, int]:
        """The ports that the new container must open, with what the old one answers there (0: not HTTP)."""
        found = {}
        for port, address in listening(self._tools.sockets(old.pid)).items():
            try:
                found[port] = self._ask(old, port, address).status
            except (NetworkError, OSError):
                found[port] = 0
        return found

    def _ask(self, one: Instance, port: int, address: str) -> Response:
        upstream = self._upstreams.get(one.service)
        site = upstream.sites[0] if upstream is not None and upstream.sites else one.service
        path = HEALTH_PATHS.get(one.service, "/")
        return self._tools.request(one.pid, port, path, site, address, timeout=20.0)

    def _web_reason(self, spare: Instance, expected: Mapping[int, int]) -> str:
        """Why a container does not serve yet; empty when it does."""
        ports = listening(self._tools.sockets(spare.pid))
        for port, status in expected.items():
            if port not in ports:
                return f"port {port} is not open"
            if status == 0:
                continue
            try:
                answer = self._ask(spare, port, ports[port])
            except (NetworkError, OSError) as problem:
                return str(problem)
            if answer.status != 200 and not (answer.status < 500 and (answer.status == status or status >= 500)):
                return f"port {port} answered {answer.status}"
        return ""

    def _worker_reason(self, spare: Instance, steady: float) -> str:
        if not spare.celery:
            return "" if steady >= 5.0 else "it has only just started"
        printed = self._tutor.docker("logs", "--tail", "1000", spare.id, check=False)
        if _READY.search(printed.stdout) or _READY.search(printed.stderr) or steady >= self._limits.settle:
            return ""
        return "it does not consume yet"

    # Letting the old one go

    def _retire(self, old: Instance, web: bool) -> None:
        if web:
            self._drain(old)
        self._tools.say(f"{old.service}: stopping the old container")
        if old.celery:
            self._finish_tasks(old)
        else:
            self._tutor.docker("stop", "--time", "30", old.id)
        self._tutor.docker("rm", "--force", old.id)

    def _drain(self, old: Instance) -> None:
        self._tools.say(f"{old.service}: waiting for requests under way")
        begun = renewed = self._tools.clock()
        self._tools.gate.close(old.pid, _GATE_SECONDS)
        told = False
        quiet = 0
        while quiet < 2:
            busy = in_flight(self._tools.sockets(old.pid))
            now = self._tools.clock()
            quiet = 0 if busy else quiet + 1
            if busy and now - begun >= self._limits.drain:
                self._report.cut += len(busy)
                return
            if busy and not told and now - begun >= self._limits.keepalive:
                told = self._let_go({one.remote for one in busy})
            if now - renewed > _GATE_SECONDS / 3:
                self._tools.gate.close(old.pid, _GATE_SECONDS)
                renewed = now
            self._tools.sleep(0.1)

    def _let_go(self, remotes: set[str]) -> bool:
        """Have Caddy drop the connections that it keeps, if any of these is its own."""
        proxy = self._containers.caddy()
        if proxy is None or not remotes.intersection(proxy.addresses):
            return False
        try:
            self._tools.caddy(proxy.pid).forget_connections()
        except CaddyError as problem:
            raise RollError(f"The old container cannot be drained: {problem}") from problem
        return True

    def _finish_tasks(self, old: Instance) -> None:
        """Warm shutdown: no new task, and each one that was taken is finished."""
        self._tools.say(f"{old.service}: waiting for its tasks to end")
        if not self._is_ending(old):
            self._memory.note_ending(old.id)
            self._tutor.docker("kill", "--signal", "TERM", old.id)
        deadline = self._tools.clock() + self._limits.tasks
        while self._tools.alive(old.pid) or self._containers.again(old) is not None:
            if self._tools.clock() >= deadline:
                raise RollError(
                    f"{old.service}: the old worker {old.name} still works on tasks after {self._limits.tasks:g} s; it "
                    "takes no new ones and a new worker consumes: run this again later, nothing else is needed."
                )
            self._tools.sleep(0.3)

    def _is_ending(self, old: Instance) -> bool:
        """Whether it has been asked. A roll may have died between its note and its signal, so Celery itself tells."""
        if not self._memory.asked_to_end(old.id):
            return False
        printed = self._tutor.docker("logs", "--tail", "20000", old.id, check=False)
        return bool(_ENDING.search(printed.stdout) or _ENDING.search(printed.stderr))

    def _tidy(self, service: str, replicas: int) -> None:
        """Remove what a roll that died left behind, and give a single container the name it had before."""
        found = self._containers.all(service)
        running = [one for one in found if one.running]
        if len(running) < replicas:
            return
        for one in found:
            if not one.running:
                self._tutor.docker("rm", "--force", one.id)
        usual = f"{self._tutor.project_name}-{service}-1"
        if replicas == 1 and len(running) == 1 and running[0].name != usual:
            self._tutor.docker("rename", running[0].id, usual, check=False)
