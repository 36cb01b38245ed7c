# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of a compose project, through the docker command."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
ONE_OFF = "com.docker.compose.oneoff"

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


class DockerError(Exception):
    """The docker command failed or did not answer; the message is one sentence for the operator."""


@dataclass(frozen=True)
class Container:
    """A container of a service as docker reports it."""

    id: str
    name: str
    service: str
    running: bool
    addresses: Mapping[str, str] = field(default_factory=dict)
    pid: int = 0
    """Its first process as this host sees it; 0 while it does not run."""

    def address(self, network: str) -> str | None:
        """Its address on a network, or on the only one it has; None while it has none."""
        known = {name: address for name, address in self.addresses.items() if address}
        if network in known:
            return known[network]
        return next(iter(known.values())) if len(known) == 1 else None


def gateways(subnets: Iterable[str]) -> list[str]:
    """The addresses from which containers see this host: the first one of each of their networks."""
    return [str(ipaddress.ip_network(subnet)[1]) for subnet in subnets]


class Docker:
    """Asks one docker engine; every answer comes, or DockerError, within ``timeout`` seconds."""

    def __init__(
        self,
        run: Run = subprocess.run,
        start: Start = subprocess.Popen,
        command: Sequence[str] = ("docker",),
        timeout: float = 10.0,
    ) -> None:
        self._run = run
        self._start = start
        self._command = list(command)
        self._timeout = timeout

    def containers(self, project: str, service: str | None = None) -> list[Container]:
        """The containers of a project (or of one service), stopped ones too, without those of one-off jobs."""
        filters = [f"label={PROJECT}={project}", f"label={ONE_OFF}=False"]
        if service is not None:
            filters.append(f"label={SERVICE}={service}")
        arguments = [part for each in filters for part in ("--filter", each)]
        identities = self._ask("ps", "--all", "--quiet", "--no-trunc", *arguments).split()
        if not identities:
            return []
        # One that went away between the two commands makes inspect fail, but the others are printed all the same.
        found = self._json("inspect", "--type", "container", *identities)
        return sorted(map(_container, found), key=lambda one: (one.service, one.name))

    def container(self, project: str, service: str) -> Container | None:
        """The running container of a service, or a stopped one, or None."""
        found = self.containers(project, service)
        return next((one for one in found if one.running), found[0] if found else None)

    def address(self, project: str, service: str) -> str | None:
        """The address of the running container of a service on the project's own network, or None."""
        found = self.container(project, service)
        return found.address(network(project)) if found is not None and found.running else None

    def subnets(self, project: str) -> list[str]:
        """The networks (as CIDR) that the project's containers live in."""
        names = self._ask("network", "ls", "--quiet", "--filter", f"label={PROJECT}={project}").split()
        if not names:
            return []
        plans = [(entry.get("IPAM") or {}).get("Config") or [] for entry in self._json("network", "inspect", *names)]
        return sorted({part["Subnet"] for plan in plans for part in plan if part.get("Subnet")})

    def execute(
        self, container: str, command: Sequence[str], given: str | None = None, timeout: float | None = None
    ) -> str:
        """Run a command in a container and return what it printed. ``given`` is its standard input, as for secrets."""
        arguments = ["exec", *(["--interactive"] if given is not None else []), container, *command]
        return self._ask(*arguments, given=given, timeout=timeout)

    def restart(self, container: str, timeout: float = 60.0) -> None:
        """Stop a container as docker does, and start it again."""
        self._ask("restart", container, timeout=timeout)

    def events(self, project: str, kinds: Iterable[str] = ()) -> Events:
        """What happens to the project's containers from now on; only some kinds of it, if any are given."""
        filters = [f"label={PROJECT}={project}", "type=container", *(f"event={kind}" for kind in kinds)]
        arguments = [part for each in filters for part in ("--filter", each)]
        return Events(
            self._start(
                [*self._command, "events", "--format", "{{json .}}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        )

    def _ask(self, *arguments: str, given: str | None = None, timeout: float | None = None) -> str:
        done = self._call(arguments, given, timeout)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["it gave no reason"]
            raise DockerError(f"docker {arguments[0]} failed on the app server: {reason[0]}")
        return done.stdout

    def _json(self, *arguments: str) -> list[Any]:
        done = self._call(arguments, None, None)
        try:
            return list(json.loads(done.stdout or "[]"))
        except ValueError as problem:
            raise DockerError(f"docker {arguments[0]} answered what is not JSON: {problem}") from problem

    def _call(
        self, arguments: Iterable[str], given: str | None, timeout: float | None
    ) -> subprocess.CompletedProcess[str]:
        limit = timeout if timeout is not None else self._timeout
        words = list(arguments)
        feed: dict[str, Any] = {"input": given} if given is not None else {"stdin": subprocess.DEVNULL}
        try:
            return self._run(
                [*self._command, *words], capture_output=True, text=True, timeout=limit, check=False, **feed
            )
        except subprocess.TimeoutExpired as problem:
            raise DockerError(
                f"docker {words[0]} did not answer within {limit:.0f} s: see `systemctl status docker`"
            ) from problem
        except OSError as problem:
            raise DockerError(
                f"docker cannot be run on the app server ({problem}): install the docker engine"
            ) from problem


class Events:
    """A running `docker events`; read its ``stream`` or iterate, and close it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def stream(self) -> IO[str]:
        """Where the lines come from, for select()."""
        stream = self._process.stdout
        if stream is None:
            raise ValueError("the process was started without a pipe for its output")
        return stream

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line in self.stream:
            if line.strip():
                yield dict(json.loads(line))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self.stream.close()


def network(project: str) -> str:
    """The name that compose gives to a project's own network."""
    return f"{project}_default"


def _container(entry: Mapping[str, Any]) -> Container:
    networks = (entry.get("NetworkSettings") or {}).get("Networks") or {}
    labels = (entry.get("Config") or {}).get("Labels") or {}
    return Container(
        id=entry["Id"],
        name=str(entry.get("Name", "")).lstrip("/"),
        service=labels.get(SERVICE, ""),
        running=bool((entry.get("State") or {}).get("Running")),
        addresses={name: (given or {}).get("IPAddress", "") for name, given in networks.items()},
        pid=int((entry.get("State") or {}).get("Pid") or 0),
    )
