# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's network: the kernel's tables, the gate's rules, and the doorkeeper that shuts a gate in time."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import netns
from ansible_collections.tutorops.scale.plugins.module_utils.netns import (
    NO_GATE,
    Doorkeeper,
    Gate,
    NetworkError,
    gate_rules,
    in_flight,
    listening,
    parse_sockets,
    request,
    sockets,
)

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
#: A uWSGI on 0.0.0.0:8000 with one request of 172.19.0.6, one that ended, its own loopback, and docker's resolver.
TCP = HEAD + (
    "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1\n"
    "   1: 0B00007F:A1B2 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2\n"
    "   2: 050013AC:1F40 060013AC:D431 01 00000020:00000000 00:00000000 00000000  1000        0 3\n"
    "   3: 050013AC:1F40 060013AC:D432 06 00000000:00000000 00:00000000 00000000     0        0 0\n"
    "   4: 0100007F:1F40 0100007F:D433 01 00000000:00000000 00:00000000 00000000  1000        0 4\n"
    "   5: 050013AC:9C40 070013AC:0CEA 01 00000000:00000000 00:00000000 00000000  1000        0 5\n"
)
TCP6 = HEAD + (
    "   0: 00000000000000000000000000000000:1FB8 00000000000000000000000000000000:0000 0A 00000000:00000000"
    " 00:00000000 00000000  1000        0 6\n"
    "   1: 0000000000000000FFFF0000050013AC:1FB8 0000000000000000FFFF0000060013AC:D434 04 00000000:00000000"
    " 00:00000000 00000000  1000        0 7\n"
)


def test_sockets_are_read_as_the_kernel_writes_them() -> None:
    found = parse_sockets(TCP + "garbage\n")
    assert len(found) == 6
    assert (found[2].local, found[2].port, found[2].remote, found[2].queued) == ("172.19.0.5", 8000, "172.19.0.6", 32)
    mapped = parse_sockets(TCP6)[1]
    assert (mapped.local, mapped.remote, mapped.remote_port) == ("172.19.0.5", "172.19.0.6", 54324)


def test_open_ports_are_those_that_others_can_reach() -> None:
    assert listening(parse_sockets(TCP)) == {8000: "127.0.0.1"}
    assert listening(parse_sockets(TCP6)) == {8120: "::1"}


def test_in_flight_is_what_others_wait_for() -> None:
    assert [(one.remote, one.remote_port) for one in in_flight(parse_sockets(TCP))] == [("172.19.0.6", 54321)]
    assert len(in_flight(parse_sockets(TCP6))) == 1, "an answer that is being closed still counts"


def test_a_process_that_has_ended_has_no_sockets(tmp_path: Path) -> None:
    assert sockets(1, tmp_path) == []
    (tmp_path / "7" / "net").mkdir(parents=True)
    (tmp_path / "7" / "net" / "tcp").write_text(TCP, encoding="ascii")
    assert len(sockets(7, tmp_path)) == 6


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        self.wfile.write(self.headers["Host"].encode())

    def log_message(self, *_words: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A web server in this process's own network, which anybody may stay in."""
    monkeypatch.setattr(netns, "_enter", lambda _pid: None)
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running.server_address[1]
    running.shutdown()
    running.server_close()


def test_a_request_goes_to_the_site_that_is_asked_for(server: int) -> None:
    answer = request(os.getpid(), server, "/heartbeat", "lms.test")
    assert (answer.status, answer.body) == (200, b"lms.test")
    assert request(os.getpid(), server, "/missing").status == 404


def test_no_answer_is_a_sentence(server: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(NetworkError, match=f"port {port} did not answer GET /: .*timed out"):
            request(os.getpid(), port, timeout=0.2)
    with pytest.raises(NetworkError, match="did not answer GET /: .*refused"):
        request(os.getpid(), port)


def test_a_namespace_that_is_gone_is_no_answer() -> None:
    with pytest.raises(NetworkError, match="did not answer"):
        request(2**22 + 1, 80)


class Nft:
    """Stands in for subprocess.run; remembers what nft was given."""

    def __init__(self, code: int = 0, stderr: str = "") -> None:
        self.calls: list[tuple[str, str]] = []
        self.code, self.stderr = code, stderr

    def __call__(self, argv: list[str], input: str, **_options: Any) -> subprocess.CompletedProcess[str]:
        self.calls.append((argv[1].removeprefix("--net="), input))
        return subprocess.CompletedProcess(argv, self.code, "", self.stderr)


def test_a_gate_is_closed_and_opened_in_the_containers_own_network() -> None:
    nft = Nft()
    gate = Gate(nft)
    gate.close(42, 7)
    gate.open(42)
    assert nft.calls == [("/proc/42/ns/net", gate_rules(7)), ("/proc/42/ns/net", NO_GATE)]


def test_a_refusal_of_nft_is_told_unless_the_container_has_ended() -> None:
    gate = Gate(Nft(1, "Error: syntax\n  error"))
    with pytest.raises(NetworkError, match="nft refused the gate in the network of a container: Error: syntax error"):
        gate.close(os.getpid())
    gate.close(2**22 + 1)

    def missing(*_words: Any, **_options: Any) -> Any:
        raise FileNotFoundError("nsenter")

    with pytest.raises(NetworkError, match="nft could not be run"):
        Gate(missing).close(1)


def test_what_a_host_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NetworkError, match="only root may: use become"):
        Gate().check()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda tool, path: None if tool == "nft" else tool)
    with pytest.raises(NetworkError, match="nft is not installed on the app server: install the package nftables"):
        Gate().check()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Doors:
    """A gate that remembers, and fails for a namespace that is not mounted yet."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.not_yet: set[str] = set()

    def apply(self, namespace: str, rules: str) -> None:
        name = Path(namespace).name
        if name in self.not_yet:
            self.not_yet.discard(name)
            raise NetworkError("not mounted yet")
        self.calls.append((name, "open" if rules == NO_GATE else "close"))


def test_the_doorkeeper_shuts_the_gate_of_whoever_comes_and_lets_strangers_go(tmp_path: Path) -> None:
    doors = Doors()
    (tmp_path / "old").touch()
    doors.not_yet.add("new")
    with Doorkeeper(doors, tmp_path) as keeper:  # type: ignore[arg-type]
        (tmp_path / "new").touch()
        until(lambda: ("new", "close") in doors.calls)
        # The one that is kept is known by its namespace, here this process's own.
        (tmp_path / "wanted").symlink_to(f"/proc/{os.getpid()}/ns/net")
        until(lambda: ("wanted", "close") in doors.calls)
    keeper.release({os.getpid()})
    assert sorted(doors.calls) == [("new", "close"), ("new", "open"), ("wanted", "close")]


def test_the_doorkeeper_minds_no_missing_folder(tmp_path: Path) -> None:
    with Doorkeeper(Doors(), tmp_path / "none") as keeper:  # type: ignore[arg-type]
        pass
    keeper.release(set())
