# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers of a Tutor platform as docker sees them, and what differs between two looks at them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# What Tutor means by the word `openedx` in `tutor local restart openedx`; here it works for every state.
OPENEDX_SERVICES = ("lms", "cms", "lms-worker", "cms-worker")


@dataclass(frozen=True)
class Container:
    """One container of one service."""

    service: str
    name: str
    id: str
    state: str
    number: int = 1
    health: str = ""
    image: str = ""
    config_hash: str = ""
    started_at: str = ""
    exit_code: int = 0
    restart_count: int = 0
    restart_policy: str = ""
    addresses: Mapping[str, str] | None = None
    """Address by network name; empty strings where the container is not connected."""

    @property
    def running(self) -> bool:
        """Say whether its process is there (a restarting container is not running)."""
        return self.state == "running"

    @property
    def one_shot(self) -> bool:
        """Say whether it is meant to end, as Tutor's `permissions` does at every start."""
        return self.restart_policy in ("", "no", "on-failure")


def from_inspect(entries: Iterable[Mapping[str, Any]]) -> list[Container]:
    """Read the JSON of `docker inspect`."""
    return sorted(map(_one, entries), key=lambda container: (container.service, container.number, container.name))


def _one(entry: Mapping[str, Any]) -> Container:
    labels = entry.get("Config", {}).get("Labels") or {}
    state = entry.get("State", {})
    networks = (entry.get("NetworkSettings") or {}).get("Networks") or {}
    policy = (entry.get("HostConfig") or {}).get("RestartPolicy") or {}
    return Container(
        service=labels.get("com.docker.compose.service", ""),
        name=entry.get("Name", "").lstrip("/"),
        id=entry["Id"],
        state=state.get("Status", ""),
        number=int(labels.get("com.docker.compose.container-number", 1) or 1),
        health=(state.get("Health") or {}).get("Status", ""),
        image=entry.get("Config", {}).get("Image", ""),
        config_hash=labels.get("com.docker.compose.config-hash", ""),
        started_at=state.get("StartedAt", ""),
        exit_code=int(state.get("ExitCode", 0) or 0),
        restart_count=int(entry.get("RestartCount", 0) or 0),
        restart_policy=policy.get("Name", ""),
        addresses={name: (network or {}).get("IPAddress", "") or "" for name, network in networks.items()},
    )


def parse_inspect(text: str) -> list[Container]:
    """Read the output of `docker inspect`; containers that went away meanwhile are simply not in it."""
    return from_inspect(json.loads(text or "[]"))


def changes(before: Iterable[Container], after: Iterable[Container]) -> dict[str, list[str]]:
    """Name the services whose containers were created, re-created, started, stopped or removed."""
    old = {container.name: container for container in before}
    new = {container.name: container for container in after}
    found: dict[str, set[str]] = {
        "created": set(),
        "recreated": set(),
        "started": set(),
        "stopped": set(),
        "removed": set(),
    }
    for name, container in new.items():
        previous = old.get(name)
        if previous is None:
            found["created"].add(container.service)
        elif previous.id != container.id:
            found["recreated"].add(container.service)
        elif container.one_shot:
            continue
        elif previous.running and not container.running:
            found["stopped"].add(container.service)
        elif container.running and previous.started_at != container.started_at:
            found["started"].add(container.service)
    for name, container in old.items():
        if name not in new:
            found["removed"].add(container.service)
    found["removed"] -= found["created"] | found["recreated"]
    return {kind: sorted(services) for kind, services in found.items() if services}


def drifted(containers: Iterable[Container], hashes: Mapping[str, str]) -> list[str]:
    """Name the services whose container was made from another definition than the one rendered now."""
    return sorted(
        {
            container.service
            for container in containers
            if container.service in hashes and container.config_hash != hashes[container.service]
        }
    )


def to_start(containers: Iterable[Container], hashes: Mapping[str, str], services: Iterable[str]) -> list[str]:
    """Predict which of these services `up` would create, re-create or start."""
    existing = list(containers)
    present = {container.service for container in existing if container.running or container.one_shot}
    stale = set(drifted(existing, hashes))
    return [service for service in services if service not in present or service in stale]


def not_ready(containers: Iterable[Container], services: Iterable[str]) -> list[str]:
    """Name the services that do not run (or, if they have a health check, are not healthy)."""
    existing = list(containers)
    waiting = []
    for service in services:
        own = [container for container in existing if container.service == service]
        if not own or not all(_ready(container) for container in own):
            waiting.append(service)
    return waiting


def _ready(container: Container) -> bool:
    if container.one_shot:
        return container.running or (container.state == "exited" and container.exit_code == 0)
    return container.running and container.health in ("", "healthy")
