# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tutor's web proxy through its admin API, which answers inside the container only."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .netns import NetworkError, Response, inside, request

ADMIN_PORT = 2019
_MIGRATE = Path("/proc/sys/net/ipv4/tcp_migrate_req")


class CaddyError(Exception):
    """Caddy's admin API did not do as asked; one sentence for the operator."""


@dataclass(frozen=True)
class Upstream:
    """A server that Caddy sends requests to, and the sites (Host headers) that end there."""

    name: str
    port: int
    sites: tuple[str, ...]


def upstreams(config: Mapping[str, Any]) -> list[Upstream]:
    """Find the servers behind a running configuration."""
    found: dict[tuple[str, int], list[str]] = {}
    servers = ((config.get("apps") or {}).get("http") or {}).get("servers") or {}
    for server in servers.values():
        for route in server.get("routes") or []:
            for name, port, site in _dials(route, ""):
                sites = found.setdefault((name, port), [])
                if site and site not in sites:
                    sites.append(site)
    return [Upstream(name, port, tuple(sites)) for (name, port), sites in sorted(found.items())]


def _dials(route: Mapping[str, Any], site: str) -> Iterator[tuple[str, int, str]]:
    for match in route.get("match") or []:
        hosts = [host for host in match.get("host") or [] if "*" not in host and "{" not in host]
        site = hosts[0] if hosts else site
    for handler in route.get("handle") or []:
        for inner in handler.get("routes") or []:
            yield from _dials(inner, site)
        if handler.get("handler") != "reverse_proxy":
            continue
        for upstream in handler.get("upstreams") or []:
            name, _, port = str(upstream.get("dial", "")).rpartition(":")
            if name and port.isdigit():
                yield name, int(port), site


class Caddy:
    """One running Caddy, by the process id that its container has on this host."""

    def __init__(
        self,
        pid: int,
        ask: Callable[..., Response] = request,
        timeout: float = 30.0,
        keep: Callable[[int], None] | None = None,
    ) -> None:
        self._pid = pid
        self._ask = ask
        self._timeout = timeout
        self._keep = keep or keep_waiting_connections

    def config(self) -> dict[str, Any]:
        """The configuration that is running."""
        answer = self._call("GET", "/config/")
        try:
            return dict(json.loads(answer.body or b"{}") or {})
        except ValueError as problem:
            raise CaddyError(f"Caddy's admin API answered what is not JSON: {problem}") from problem

    def upstreams(self) -> list[Upstream]:
        """The servers that Caddy sends requests to."""
        return upstreams(self.config())

    def forget_connections(self) -> None:
        """Have new requests connect anew, while those under way end where they are.

        Caddy keeps connections to its upstreams and would use them for ever under load. When it is given a
        configuration, even the very same, it drops those that are idle, and each other one at the end of its request.
        """
        self._load(self._call("GET", "/config/").body)

    def load(self, config: Mapping[str, Any]) -> None:
        """Run another configuration from now on; requests under way end under the one that they began with."""
        self._load(json.dumps(config).encode())

    def requests(self) -> dict[str, int]:
        """How many requests are under way to each upstream, by its address."""
        answer = self._call("GET", "/reverse_proxy/upstreams")
        return {str(one["address"]): int(one["num_requests"]) for one in json.loads(answer.body or b"[]")}

    def _load(self, text: bytes) -> None:
        self._keep(self._pid)
        self._call("POST", "/load", text, {"Content-Type": "application/json", "Cache-Control": "must-revalidate"})

    def _call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        try:
            answer = self._ask(
                self._pid,
                ADMIN_PORT,
                path,
                host=f"localhost:{ADMIN_PORT}",
                method=method,
                body=body,
                headers=headers,
                timeout=self._timeout,
            )
        except NetworkError as problem:
            raise CaddyError(f"Caddy's admin API {problem}; is it switched off in the Caddyfile?") from problem
        if answer.status != 200:
            reason = answer.body.decode(errors="replace").strip()[:200]
            raise CaddyError(f"Caddy's admin API answered {answer.status} to {method} {path}: {reason}")
        return answer


def keep_waiting_connections(pid: int) -> None:
    """Have a socket that stops listening hand over what waits at it to the one that listens instead.

    Caddy listens anew with each configuration, and would otherwise reset the connections that it had not accepted yet:
    with a processor that is busy, 45 of 2500 requests in 120 loads, and 1 of 13,700 in 600 like this. Kernels before
    5.14 cannot.
    """

    with contextlib.suppress(OSError):
        inside(pid, lambda: _MIGRATE.write_text("1", encoding="ascii"))
