# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rolling restart has to know: containers, what is rendered for their services, and what earlier runs saw."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .paths import read_json, write_file
from .roll_tools import Platform


@dataclass(frozen=True)
class Instance:
    """One container of a service, with what a roll has to know about it."""

    id: str
    name: str
    service: str
    number: int
    running: bool
    pid: int
    started: float
    config_hash: str
    sources: tuple[str, ...]
    command: tuple[str, ...]
    published: bool
    addresses: tuple[str, ...]

    @property
    def celery(self) -> bool:
        """Whether it is a Celery worker."""
        return any("celery" in word for word in self.command) and "worker" in self.command


def parse_instances(text: str) -> list[Instance]:
    """Read the JSON of `docker inspect`."""
    return sorted((_instance(entry) for entry in json.loads(text or "[]")), key=lambda one: (one.service, one.number))


def _instance(entry: Mapping[str, Any]) -> Instance:
    labels = entry["Config"].get("Labels") or {}
    state = entry.get("State") or {}
    network = entry.get("NetworkSettings") or {}
    binds = [mount["Source"] for mount in entry.get("Mounts") or [] if mount.get("Type") == "bind"]
    return Instance(
        id=entry["Id"],
        name=str(entry.get("Name", "")).lstrip("/"),
        service=labels.get("com.docker.compose.service", ""),
        number=int(labels.get("com.docker.compose.container-number") or 1),
        running=state.get("Status") == "running",
        pid=int(state.get("Pid") or 0),
        started=seconds_since_epoch(state.get("StartedAt", "")),
        config_hash=labels.get("com.docker.compose.config-hash", ""),
        sources=tuple(sorted(binds)),
        command=(str(entry.get("Path", "")), *map(str, entry.get("Args") or [])),
        published=bool((entry.get("HostConfig") or {}).get("PortBindings")),
        addresses=tuple(
            one["IPAddress"] for one in (network.get("Networks") or {}).values() if one and one.get("IPAddress")
        ),
    )


def seconds_since_epoch(text: str) -> float:
    """Read docker's time stamps, which are UTC with nanoseconds."""
    found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?", text)
    if not found:
        return 0.0
    whole = datetime.strptime(found.group(1), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    return whole + float(found.group(2) or 0)


class Containers:
    """The containers of a platform's services, without those of one-off runs and jobs."""

    def __init__(self, tutor: Platform) -> None:
        self._tutor = tutor

    def all(self, service: str | None = None) -> list[Instance]:
        """All of them, or those of one service, running or not."""
        filters = [
            f"label=com.docker.compose.project={self._tutor.project_name}",
            "label=com.docker.compose.oneoff=False",
        ]
        if service:
            filters.append(f"label=com.docker.compose.service={service}")
        wanted = [part for each in filters for part in ("--filter", each)]
        ids = self._tutor.docker("ps", "--all", "--quiet", "--no-trunc", *wanted).stdout.split()
        if not ids:
            return []
        return parse_instances(self._tutor.docker("inspect", "--type=container", *ids, check=False).stdout)

    def running(self, service: str) -> list[Instance]:
        """The running ones of a service."""
        return [one for one in self.all(service) if one.running]

    def again(self, one: Instance) -> Instance | None:
        """The same container as it is now, if it runs."""
        found = parse_instances(self._tutor.docker("inspect", "--type=container", one.id, check=False).stdout)
        return found[0] if found and found[0].running else None

    def caddy(self) -> Instance | None:
        """The web proxy, if it runs."""
        found = self.running("caddy")
        return found[0] if found else None

    def scaled(self) -> dict[str, int]:
        """The services that an operator scaled, which compose would otherwise set back to one container."""
        counts: dict[str, int] = {}
        for one in self.all():
            if one.running:
                counts[one.service] = counts.get(one.service, 0) + 1
        return {name: count for name, count in counts.items() if count > 1}


# What a process has read


@dataclass(frozen=True)
class Rendered:
    """The rendered files that a service reads: what is in them, and since when at the earliest."""

    digest: str
    newest: float


def below(source: str, env: Path) -> bool:
    """Whether a mounted path is the folder ``env`` or in it."""
    return (os.path.realpath(source) + os.sep).startswith(os.path.realpath(env) + os.sep)


def rendered(sources: Iterable[str], env: Path) -> Rendered:
    """Look at the files below ``env`` that are mounted into a service."""
    digest = hashlib.sha256()
    newest = 0.0
    for source in sorted(set(sources)):
        if not below(source, env):
            continue
        path = Path(source)
        found = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        for file in found:
            if "__pycache__" in file.parts or not file.is_file():
                continue
            content = file.read_bytes()
            digest.update(f"{file}\0{len(content)}\0".encode() + content)
            newest = max(newest, file.stat().st_mtime)
    return Rendered(digest.hexdigest(), newest)


class Memory:
    """What is known across runs, in one small file: since when files are as they are, and which rolls are under way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: dict[str, Any] = read_json(path) or {}

    def since(self, service: str, now: Rendered) -> float:
        """Since when the files of a service have the content that they have now.

        Tutor writes every file at each save, so a modification time says nothing while the content stays.
        """
        known = self._content.setdefault("files", {})
        entry = known.get(service)
        if not entry or entry["digest"] != now.digest:
            known[service] = entry = {"digest": now.digest, "since": now.newest}
        return float(entry["since"])

    def take_as_read(self, service: str, now: Rendered) -> None:
        """Count the present files as those that were there before, because they mean the same to a process."""
        known = self._content.get("files", {}).get(service)
        if known:
            known["digest"] = now.digest

    def replicas(self, service: str) -> int | None:
        """How many containers a service had when a roll of it began that has not ended."""
        found = self._content.get("rolling", {}).get(service)
        return int(found) if found else None

    def begin(self, service: str, replicas: int) -> None:
        """Note that a roll begins."""
        self._content.setdefault("rolling", {})[service] = replicas
        self.save()

    def end(self, service: str) -> None:
        """Note that a roll has ended."""
        self._content.get("rolling", {}).pop(service, None)
        self.save()

    def asked_to_end(self, identity: str) -> bool:
        """Whether a worker was asked to finish; to ask twice would make it drop its tasks."""
        return identity in self._content.get("ending", [])

    def note_ending(self, identity: str) -> None:
        """Note that a worker has been asked to finish."""
        self._content["ending"] = [*self._content.get("ending", [])[-19:], identity]
        self.save()

    def save(self) -> None:
        """Write it down."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._path, json.dumps(self._content, indent=1, sort_keys=True) + "\n", durable=True)
