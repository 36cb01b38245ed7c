# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the host: worker processes counted and measured in /proc, and the memory of everything else.

Memory is the proportional set size (PSS): pages that workers share with the process they were forked from count once in
all, where the resident size would count them for each of them.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .roll_state import Instance

PROC = Path("/proc")
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_SOCKET = re.compile(r"socket:\[(\d+)\]")
# In /proc/net/tcp: the state LISTEN, and the addresses 127.0.0.0/8 and ::1 in the byte order of the machine.
_LISTEN = "0A"
_LOOPBACK = re.compile(r"[0-9A-F]{6}7F:|0{24}01000000:")


@dataclass(frozen=True)
class Process:
    """One process of a container."""

    pid: int
    parent: int
    container: str
    program: str
    memory: int


@dataclass(frozen=True)
class Look:
    """One container of a service: its worker processes, what each takes, and what the rest of it takes."""

    workers: tuple[int, ...]
    sizes: tuple[int, ...]
    rest: int


@dataclass(frozen=True)
class Memory:
    """Memory of the host in bytes."""

    total: int
    available: int


def memory(proc: Path = PROC) -> Memory:
    """Read how much memory the host has, and how much of it could be given to processes."""
    pairs = dict(re.findall(r"^(\w+):\s+(\d+) kB", (proc / "meminfo").read_text(encoding="ascii"), re.MULTILINE))
    return Memory(int(pairs["MemTotal"]) * 1024, int(pairs["MemAvailable"]) * 1024)


def cores() -> int:
    """How many cores the platform can use."""
    return len(os.sched_getaffinity(0))


def processes(containers: Collection[str], proc: Path = PROC) -> list[Process]:
    """The processes of these containers; what ends while it is looked at is left out."""
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            named = _CONTAINER.findall((folder / "cgroup").read_text(encoding="utf-8"))
            container = next((one for one in reversed(named) if one in containers), None)
            if container is not None:
                found.append(_process(folder, container))
    return found


def _process(folder: Path, container: str) -> Process:
    # The second field, the command in brackets, may hold anything, brackets and blanks too.
    fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    measured = _PSS.search((folder / "smaps_rollup").read_text(encoding="ascii"))
    return Process(
        pid=int(folder.name),
        parent=int(fields[1]),
        container=container,
        program=os.readlink(folder / "exe"),
        memory=int(measured.group(1)) * 1024 if measured else 0,
    )


def look(instance: Instance, table: Iterable[Process], proc: Path = PROC) -> Look:
    """Tell the workers of one container from the rest of it.

    The workers of uWSGI and of Celery are forked from a process of the same program. uWSGI forks its HTTP router, too:
    that one listens for others, while the workers listen for the router alone.
    """
    own = sorted((one for one in table if one.container == instance.id), key=lambda one: one.pid)
    children: defaultdict[int, list[Process]] = defaultdict(list)
    for one in own:
        children[one.parent].append(one)
    forked = [[child for child in children[one.pid] if child.program == one.program] for one in own]
    family = max(forked, key=len, default=[])
    if not instance.celery:
        family = _without_router(family, proc)
    members = {one.pid for one in family}
    return Look(
        workers=tuple(one.pid for one in family),
        sizes=tuple(one.memory for one in family),
        rest=sum(one.memory for one in own if one.pid not in members),
    )


def _without_router(family: list[Process], proc: Path) -> list[Process]:
    if not family:
        return family
    listening = _listening(family[0].pid, proc)
    inner = {inode for inode, loopback in listening.items() if loopback}
    held = {one.pid: _sockets_of(one.pid, proc) for one in family}
    return [one for one in family if held[one.pid] & (inner or listening.keys())]


def _listening(pid: int, proc: Path) -> dict[str, bool]:
    """The listening sockets in a process's network by inode, and whether only the container itself reaches them."""
    found: dict[str, bool] = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / str(pid) / "net" / name).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    found[fields[9]] = bool(_LOOPBACK.match(fields[1]))
    return found


def _sockets_of(pid: int, proc: Path) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for link in (proc / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                match = _SOCKET.match(os.readlink(link))
                if match:
                    found.add(match.group(1))
    return found


def by_service(instances: Iterable[Instance], table: Iterable[Process]) -> Mapping[str, int]:
    """Memory of each service of the platform, all its containers together."""
    names = {one.id: one.service for one in instances}
    total: defaultdict[str, int] = defaultdict(int)
    for one in table:
        total[names[one.container]] += one.memory
    return total
