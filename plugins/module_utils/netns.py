# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's network as seen from its host: its sockets, a connection made inside it, and a gate before it.

The gate refuses new connections with a reset, so that a client tries the next address of the same name at once, and
lets everything through that is already connected. It lives in the container's own network namespace (it goes with the
container), does not concern the container's own loopback, and opens by itself when nobody renews it.
"""

from __future__ import annotations

import ctypes
import http.client
import ipaddress
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_CLONE_NEWNET = 0x40000000
_TABLE = "inet tutorops_gate"

#: States of the kernel's table of sockets in which a request or an answer may still be under way.
_ESTABLISHED, _SYN_RECV, _FIN_WAIT1, _CLOSE_WAIT, _LAST_ACK, _LISTEN, _CLOSING = 1, 3, 4, 8, 9, 10, 11
_BUSY = frozenset({_ESTABLISHED, _SYN_RECV, _FIN_WAIT1, _CLOSE_WAIT, _LAST_ACK, _CLOSING})

Answer = TypeVar("Answer")


class NetworkError(Exception):
    """Something about a container's network could not be read or set; one sentence for the operator."""


@dataclass(frozen=True)
class Socket:
    """One TCP socket of a container."""

    local: str
    port: int
    remote: str
    remote_port: int
    state: int
    queued: int
    """Bytes that were written and are not acknowledged yet."""


@dataclass(frozen=True)
class Response:
    """An HTTP answer."""

    status: int
    body: bytes


def parse_sockets(text: str) -> list[Socket]:
    """Read /proc/<pid>/net/tcp or tcp6."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 5:
            continue
        local, port = _endpoint(fields[1])
        remote, remote_port = _endpoint(fields[2])
        queued = int(fields[4].split(":")[0], 16)
        found.append(Socket(local, port, remote, remote_port, int(fields[3], 16), queued))
    return found


def _endpoint(text: str) -> tuple[str, int]:
    words, port = text.split(":")
    raw = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address), int(port, 16)


def sockets(pid: int, proc: Path = Path("/proc")) -> list[Socket]:
    """The TCP sockets in the network namespace of a process; none when it has ended."""
    found: list[Socket] = []
    for name in ("tcp", "tcp6"):
        try:
            found += parse_sockets((proc / str(pid) / "net" / name).read_text(encoding="ascii"))
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError as problem:
            if problem.errno == 22:  # the namespace ends while it is read
                continue
            raise
    return found


def _loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def listening(found: list[Socket]) -> dict[int, str]:
    """The ports open to other containers, with an address at which the container itself can reach them."""
    ports: dict[int, str] = {}
    for one in found:
        if one.state == _LISTEN and not _loopback(one.local):
            anywhere = ipaddress.ip_address(one.local).is_unspecified
            ports[one.port] = ("127.0.0.1" if "." in one.local else "::1") if anywhere else one.local
    return ports


def in_flight(found: list[Socket]) -> list[Socket]:
    """The connections that others have to the open ports, with an answer possibly still under way."""
    ports = listening(found)
    return [one for one in found if one.port in ports and one.state in _BUSY and not _loopback(one.remote)]


# Inside a namespace


def inside(pid: int, work: Callable[[], Answer]) -> Answer:
    """Do something in the network namespace of a process. Sockets made there stay there."""
    answers: list[Answer] = []
    problems: list[BaseException] = []

    def visit() -> None:
        try:
            _enter(pid)
            answers.append(work())
        except BaseException as problem:  # handed to the caller's thread
            problems.append(problem)

    # A thread of its own: the namespace is a property of the thread, and it ends with it.
    thread = threading.Thread(target=visit, name=f"netns-{pid}", daemon=True)
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return answers[0]


def _enter(pid: int) -> None:
    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(handle)


def request(
    pid: int,
    port: int,
    path: str = "/",
    host: str = "localhost",
    address: str = "127.0.0.1",
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 5.0,
) -> Response:
    """Ask an HTTP server from within its own namespace; NetworkError when it does not answer."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.sock = inside(pid, lambda: socket.create_connection((address, port), timeout))
        connection.request(method, path, body, {"Host": host, "Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        return Response(answer.status, answer.read())
    except (OSError, http.client.HTTPException) as problem:
        raise NetworkError(
            f"port {port} did not answer {method} {path}: {problem or type(problem).__name__}"
        ) from problem
    finally:
        connection.close()


# The gate


def gate_rules(seconds: int) -> str:
    """An nft script that closes the gate for so long, replacing what was there in one step."""
    return (
        f"table {_TABLE} {{}}\n"
        f"delete table {_TABLE}\n"
        f"table {_TABLE} {{\n"
        "  set closed { type inet_service; flags interval, timeout; }\n"
        "  chain gate {\n"
        "    type filter hook input priority -10; policy accept;\n"
        '    iifname != "lo" tcp dport @closed tcp flags & (syn | ack) == syn reject with tcp reset\n'
        "  }\n"
        "}\n"
        f"add element {_TABLE} closed {{ 1-65535 timeout {seconds}s }}\n"
    )


#: An nft script that takes the gate away; harmless without one.
NO_GATE = f"table {_TABLE} {{}}\ndelete table {_TABLE}\n"


#: The programs that a gate needs, by the packages that bring them.
NEEDED = {"nftables": "nft", "util-linux": "nsenter"}


def missing_packages() -> list[str]:
    """Name the packages that a gate needs and this host has not."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [package for package, program in NEEDED.items() if not shutil.which(program, path=path)]


class Gate:
    """Closes and opens containers to new connections."""

    def __init__(self, run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run) -> None:
        self._run = run

    def check(self) -> None:
        """Say in one sentence what this host lacks."""
        if os.geteuid() != 0:
            raise NetworkError("a rolling restart enters the network of containers, which only root may: use become")
        for package in missing_packages():
            raise NetworkError(f"{NEEDED[package]} is not installed on the app server: install the package {package}")

    def close(self, pid: int, seconds: int = 15) -> None:
        """Refuse new connections for so long, or until called again or opened."""
        self.apply(f"/proc/{pid}/ns/net", gate_rules(seconds))

    def open(self, pid: int) -> None:
        """Let new connections in."""
        self.apply(f"/proc/{pid}/ns/net", NO_GATE)

    def apply(self, namespace: str, rules: str) -> None:
        """Feed an nft script to a network namespace."""
        try:
            done = self._run(
                ["nsenter", f"--net={namespace}", "nft", "-f", "-"],
                input=rules,
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
                env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise NetworkError(f"nft could not be run in the network of a container: {problem}") from problem
        if done.returncode != 0:
            if not os.path.exists(namespace):
                return  # the container has ended, and its gate with it
            reason = " ".join(done.stderr.split()) or "it gave no reason"
            raise NetworkError(f"nft refused the gate in the network of a container: {reason}")


class Doorkeeper:
    """Closes the gate of every container that starts meanwhile, before its process can listen.

    Docker makes a container's network namespace, with its name in ``folder``, before it starts the process, and puts
    its address under the service's name at the same time. Whoever is caught by mistake is let go by ``release``.
    """

    def __init__(self, gate: Gate, folder: Path = Path("/run/docker/netns"), seconds: int = 15) -> None:
        self._gate = gate
        self._folder = folder
        self._seconds = seconds
        self._known = self._look()
        self._caught: set[Path] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="doorkeeper", daemon=True)

    def _look(self) -> set[Path]:
        try:
            return set(self._folder.iterdir())
        except OSError:
            return set()

    def _watch(self) -> None:
        while not self._ended.is_set():
            for path in self._look() - self._known - self._caught:
                try:
                    self._gate.apply(str(path), gate_rules(self._seconds))
                except NetworkError:
                    continue  # not mounted yet: the next look comes at once
                self._caught.add(path)
            self._ended.wait(0.005)

    def __enter__(self) -> Doorkeeper:
        self._thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self._ended.set()
        self._thread.join()

    def release(self, keep: set[int]) -> None:
        """Let go whoever was caught, apart from these processes' namespaces."""
        kept = {os.stat(f"/proc/{pid}/ns/net").st_ino for pid in keep if os.path.exists(f"/proc/{pid}/ns/net")}
        for path in self._caught:
            try:
                if path.stat().st_ino not in kept:
                    self._gate.apply(str(path), NO_GATE)
            except (OSError, NetworkError):
                continue
