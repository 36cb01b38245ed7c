# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan has to know about the MongoDB that Tutor runs. Reads only.

A plan changes nothing, so it cannot install a Python driver on the app server; the platform's own containers have one.
They also see the store as the platform does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .docker import Docker, DockerError
from .stores.base import StoreError

#: Whose pymongo is used, in this order.
_PLATFORM = ("lms", "cms", "lms-worker", "cms-worker")
#: Databases of each server's own.
_OWN = ("admin", "config", "local")

#: Runs in a container of the platform: asks a server some commands, and prints the answers.
SCRIPT = r"""
import json, sys
import pymongo
asked = json.loads(sys.stdin.readline())
client = pymongo.MongoClient(asked["host"], asked["port"], serverSelectionTimeoutMS=8000, connectTimeoutMS=8000)
answers = []
for database, name, value, options in asked["commands"]:
    try:
        answers.append(client[database].command(name, value, **options))
    except pymongo.errors.OperationFailure as problem:
        answers.append({"code": problem.code, "errmsg": str(problem)[:300]})
print(json.dumps(answers, default=str))
"""

Command = tuple[str, str, Any, dict[str, Any]]


@dataclass(frozen=True)
class SourceFacts:
    """Tutor's MongoDB as it is."""

    version: str
    compatibility: str
    engine: str
    arguments: list[str]
    asks_login: bool
    set_name: str
    sharded: bool
    databases: dict[str, int] = field(default_factory=dict)
    users: list[str] = field(default_factory=list)
    disk_bytes_free: int = 0
    #: What a set's log of operations takes up, in bytes; 0 without a set.
    log_bytes: int = 0

    @property
    def bytes(self) -> int:
        """What there is to copy, uncompressed."""
        return sum(self.databases.values())


class Reader:
    """Asks a server by the driver inside a container of the platform."""

    def __init__(self, docker: Docker, project: str, host: str, port: int) -> None:
        self._docker = docker
        self._project = project
        self._host = host
        self._port = port

    def ask(self, commands: Sequence[Command]) -> list[dict[str, Any]]:
        """The answers to some commands; what was refused has a ``code``."""
        asked = json.dumps({"host": self._host, "port": self._port, "commands": commands})
        try:
            # The program goes in as an argument, and what it reads, by standard input.
            printed = self._docker.execute(self._container(), ["python3", "-c", SCRIPT], asked + "\n", timeout=60.0)
        except DockerError as problem:
            raise StoreError(f"Tutor's MongoDB cannot be asked from within the platform: {problem}") from problem
        try:
            return list(json.loads(printed.strip().splitlines()[-1]))
        except (ValueError, IndexError) as problem:
            raise StoreError(f"Tutor's MongoDB gave an answer that is none: {printed[:200]}") from problem

    def _container(self) -> str:
        for service in _PLATFORM:
            found = self._docker.container(self._project, service)
            if found is not None and found.running:
                return found.name
        raise StoreError("no container of lms, cms or a worker runs, from which MongoDB could be asked: start Tutor")


_COMMANDS: tuple[Command, ...] = (
    ("admin", "buildInfo", 1, {}),
    ("admin", "isMaster", 1, {}),
    ("admin", "getCmdLineOpts", 1, {}),
    ("admin", "getParameter", 1, {"featureCompatibilityVersion": 1}),
    ("admin", "serverStatus", 1, {}),
    ("admin", "listDatabases", 1, {}),
    ("admin", "usersInfo", {"forAllDBs": True}, {}),
    ("admin", "dbStats", 1, {}),
    ("local", "collStats", "oplog.rs", {}),
)


def read_source(reader: Reader) -> SourceFacts:
    """Read everything."""
    build, hello, started, compatible, status, listed, accounts, disk, log = reader.ask(_COMMANDS)
    return SourceFacts(
        version=str(build.get("version", "")),
        compatibility=str((compatible.get("featureCompatibilityVersion") or {}).get("version", "")),
        engine=str((status.get("storageEngine") or {}).get("name", "")),
        arguments=[str(word) for word in started.get("argv") or ()],
        asks_login="code" in started and "argv" not in started,
        set_name=str(hello.get("setName", "")),
        sharded=hello.get("msg") == "isdbgrid",
        databases=_sizes(reader, [str(one["name"]) for one in listed.get("databases") or ()]),
        users=sorted(f"{one['db']}.{one['user']}" for one in accounts.get("users") or ()),
        disk_bytes_free=_free(disk),
        log_bytes=int(log.get("maxSize") or 0),
    )


def _sizes(reader: Reader, names: Sequence[str]) -> dict[str, int]:
    theirs = [name for name in names if name not in _OWN]
    answers = reader.ask([(name, "dbStats", 1, {}) for name in theirs]) if theirs else []
    return {name: int(one.get("dataSize") or 0) for name, one in zip(theirs, answers, strict=True)}


def _free(stats: Mapping[str, Any]) -> int:
    return int(float(stats.get("fsTotalSize") or 0) - float(stats.get("fsUsedSize") or 0))
