# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process listens where on this host, read from /proc alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .netns import parse_sockets

LISTEN = 10
ANY = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Listener:
    """A socket that takes connections, and the process that has it."""

    address: str
    port: int
    process: str
    pid: int
    unit: str


def conflicts(address: str, ports: Iterable[int], unit: str, proc: Path = Path("/proc")) -> list[Listener]:
    """The listeners of others than ``unit`` that keep it from listening at an address, one for each port."""
    wanted = set(ports)
    in_the_way = {
        found.port: found
        for found in listeners(proc)
        if found.port in wanted and found.address in (*ANY, address) and found.unit != unit
    }
    return [in_the_way[port] for port in sorted(in_the_way)]


def addresses(proc: Path = Path("/proc")) -> list[str]:
    """The IPv4 addresses of this host: those that the kernel's routing table of its own has."""
    found, last = set(), ""
    for line in (proc / "net" / "fib_trie").read_text(encoding="ascii").splitlines():
        words = line.split()
        if words[:1] in (["|--"], ["+--"]):
            last = words[1]
        elif words[:2] == ["/32", "host"] and words[2] == "LOCAL":
            found.add(last)
    return sorted(found)


def listeners(proc: Path = Path("/proc")) -> Iterator[Listener]:
    """Everything that listens for TCP connections."""
    owners: dict[str, int] | None = None
    for table in ("tcp", "tcp6"):
        try:
            text = (proc / "net" / table).read_text(encoding="ascii")
        except OSError:
            continue
        inodes = [line.split()[9] for line in text.splitlines()[1:] if len(line.split()) > 9]
        for socket, inode in zip(parse_sockets(text), inodes, strict=True):
            if socket.state == LISTEN:
                owners = _owners(proc) if owners is None else owners
                pid = owners.get(inode, 0)
                yield Listener(socket.local, socket.port, _name(proc, pid), pid, _unit(proc, pid))


def _owners(proc: Path) -> dict[str, int]:
    """The process of each socket, by the socket's inode."""
    found = {}
    for folder in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for handle in (folder / "fd").iterdir():
                with contextlib.suppress(OSError):
                    target = os.readlink(handle)
                    if target.startswith("socket:["):
                        found[target[8:-1]] = int(folder.name)
    return found


def _name(proc: Path, pid: int) -> str:
    with contextlib.suppress(OSError):
        return (proc / str(pid) / "comm").read_text(encoding="utf-8").strip()
    return "a process that cannot be seen from here"


def _unit(proc: Path, pid: int) -> str:
    """The systemd unit of a process."""
    with contextlib.suppress(OSError):
        words = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").replace("\n", "/").split("/")
        return next((word for word in reversed(words) if word.endswith(".service")), "")
    return ""
