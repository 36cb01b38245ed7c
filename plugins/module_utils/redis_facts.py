# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan has to know about the Redis that Tutor runs. Reads only.

A plan changes nothing, so it cannot install a client on the app server; the container has Redis's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .docker import Docker, DockerError
from .redis_info import keys_by_database, parse_info
from .stores.base import StoreError

_SETTINGS = ("maxmemory", "maxmemory-policy")
_REFUSALS = ("WRONGPASS", "NOAUTH", "ERR AUTH", "NOPERM")


class Refused(StoreError):
    """The server does not let in the user that Tutor has for it."""


@dataclass(frozen=True)
class SourceFacts:
    """Tutor's Redis as it is."""

    version: str
    role: str
    sharded: bool
    bytes: int
    keys: int
    modules: tuple[str, ...] = ()
    maxmemory: int = 0
    policy: str = "noeviction"


class Reader:
    """Asks a server by the client inside its container. A password goes in by standard input."""

    def __init__(self, docker: Docker, container: str, port: int, user: str = "", password: str = "") -> None:
        self._docker = docker
        self._container = container
        self._port = port
        self._login = f"AUTH {quoted(user)} {quoted(password)}\n" if user else ""

    def ask(self, command: str) -> str:
        """What the server answers to a command."""
        client = ["redis-cli", "-p", str(self._port)]
        try:
            told = self._docker.execute(self._container, client, f"{self._login}{command}\n", timeout=30.0)
        except DockerError as problem:
            raise StoreError(f"Tutor's Redis cannot be asked: {problem}") from problem
        told = told.strip().removeprefix("OK\n") if self._login else told.strip()
        if told.startswith(_REFUSALS):
            raise Refused(told.splitlines()[0])
        if told.startswith(("ERR ", "LOADING", "Could not connect")):
            raise StoreError(f"Tutor's Redis does not answer: {told.splitlines()[0]}")
        return told


def quoted(word: str) -> str:
    """A word as Redis's client takes it, whatever characters it has."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word.encode()) + '"'


def read_source(reader: Reader) -> SourceFacts:
    """Read everything."""
    text = reader.ask("INFO everything")
    info = parse_info(text)
    if "redis_version" not in info:
        raise StoreError(f"Tutor's Redis gave an answer that is none: {text[:200]}")
    held = dict(zip(*[iter(reader.ask("CONFIG GET maxmemory*").splitlines())] * 2, strict=False))
    maxmemory, policy = (held.get(name, "") for name in _SETTINGS)
    return SourceFacts(
        version=info["redis_version"],
        role=info.get("role", ""),
        sharded=info.get("cluster_enabled") == "1",
        bytes=int(info.get("used_memory_dataset", 0)),
        keys=sum(keys_by_database(info).values()),
        modules=tuple(sorted(re.findall(r"^module:name=([^,]+)", text, re.MULTILINE))),
        maxmemory=int(maxmemory or 0),
        policy=policy or "noeviction",
    )
