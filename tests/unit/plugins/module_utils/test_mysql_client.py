# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller of the client is told when a server is absent, frozen, in the clear or unwilling."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pymysql
import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mysql_client
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import Connection, MysqlError
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Unreachable

#: What a server says first: protocol 10, a version, a session number, salt, capabilities without CLIENT_SSL.
GREETING_WITHOUT_TLS = (
    b"\x0a8.4.0\0"
    + b"\x01\0\0\0"
    + b"12345678\0"
    + (0x8200 & ~0x800).to_bytes(2, "little")
    + b"\xff\x02\0"
    + (0x0008).to_bytes(2, "little")
    + b"\x15"
    + b"\0" * 10
    + b"123456789012\0"
    + b"caching_sha2_password\0"
)


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on a free port that does one thing to its one client."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def serve() -> None:
            client, _ = listening.accept()
            with client:
                answer(client)
                done.wait(10)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            done.set()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} does not answer"):
        Connection("127.0.0.1", port, "u", "p", timeout=1)


def test_a_frozen_server_is_given_up_in_time() -> None:
    started = time.monotonic()
    with server(lambda client: None) as port, pytest.raises(Unreachable):
        Connection("127.0.0.1", port, "u", "p", timeout=0.3)
    assert time.monotonic() - started < 2


def test_no_password_goes_to_a_server_without_tls() -> None:
    received: list[bytes] = []

    def greet(client: socket.socket) -> None:
        client.sendall(len(GREETING_WITHOUT_TLS).to_bytes(3, "little") + b"\0" + GREETING_WITHOUT_TLS)
        client.settimeout(2)
        received.append(client.recv(4096))

    with server(greet) as port, pytest.raises(StoreError, match="offers no TLS"):
        Connection("127.0.0.1", port, "root", "secret", timeout=2)
    assert b"root" not in b"".join(received)


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(StoreError, match="python3-pymysql"):
        Connection("127.0.0.1", 1)


def test_the_authority_is_missing(tmp_path: object) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        Connection("127.0.0.1", 1, ca=f"{tmp_path}/none.pem")


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """A connection class that answers each statement with the next thing of a list."""
    script: list[object] = []

    class Cursor:
        def __enter__(self) -> Cursor:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def execute(self, sql: str, args: object) -> int:
            script.append((sql, args))
            answer = script.pop(0)
            if isinstance(answer, Exception):
                raise answer
            self.rows = answer
            return 1

        def fetchall(self) -> object:
            return self.rows

    class Fake:
        def __init__(self, **options: object) -> None:
            self.options = options

        def connect(self, channel: object = None) -> None:
            self.channel = channel

        def cursor(self) -> Cursor:
            return Cursor()

        def close(self) -> None:
            raise pymysql.err.Error("Already closed")

    monkeypatch.setattr(mysql_client, "_encrypted", lambda library: Fake)
    yield script


def test_refusals_carry_their_number(connected: list[object]) -> None:
    with Connection("db1", user="app") as connection:
        connected.append(pymysql.err.OperationalError(1290, "running with --super-read-only"))
        with pytest.raises(MysqlError, match=r"db1:3306 refused user 'app': .*error 1290") as caught:
            connection.execute("INSERT")
        assert caught.value.code == 1290


def test_a_syntax_error_does_not_quote_the_statement(connected: list[object]) -> None:
    connection = Connection("db1")
    connected.append(pymysql.err.ProgrammingError(1064, "near 'IDENTIFIED BY 'secret''"))
    with pytest.raises(MysqlError) as caught:
        connection.execute("CREATE USER")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("code", [2006, 2013, 1053])
def test_lost_connections_are_unreachable(connected: list[object], code: int) -> None:
    connection = Connection("db1")
    connected.append(pymysql.err.OperationalError(code, "lost"))
    with pytest.raises(Unreachable):
        connection.query("SELECT 1")


def test_percent_signs_and_arguments(connected: list[object]) -> None:
    connection = Connection("db1")
    connected.append([{"a": 1, "b": 2}])
    assert connection.value("SELECT 1, 2 -- %") == 1
    assert connected.pop() == ("SELECT 1, 2 -- %", None)
    connected.append([])
    assert connection.value("SELECT %s", ["x"]) is None
    assert connected.pop() == ("SELECT %s", ("x",))
