# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller of the client is told when a server is absent, silent, refuses, or shows another certificate."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo.errors
import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mongodb_client
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import Client, MongodbError, plain
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Unreachable


@contextmanager
def silent() -> Iterator[int]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    kept.append(listening.accept()[0])
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        for one in kept:
            one.close()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Client("127.0.0.1", port, timeout=1) as client, pytest.raises(Unreachable, match=f"127.0.0.1:{port} does not"):
        client.command("ping")


def test_a_frozen_server_is_given_up_in_time() -> None:
    begun = time.monotonic()
    with silent() as port, Client("127.0.0.1", port, timeout=0.5) as client, pytest.raises(Unreachable):
        client.command("ping")
    assert time.monotonic() - begun < 3


class Answers:
    """Stands for pymongo's client: every command raises the same."""

    def __init__(self, problem: Exception) -> None:
        self.problem = problem

    def __getitem__(self, name: str) -> Answers:
        return self

    def command(self, *words: Any, **options: Any) -> Any:
        raise self.problem

    def close(self) -> None:
        """It was never open."""


def asked(problem: Exception) -> None:
    client = Client("db1", 27017)
    client._client = Answers(problem)
    client.command("createUser", "a", pwd="secret")


def test_a_refusal_has_its_code_and_only_the_servers_words() -> None:
    details = {"code": 18, "errmsg": "Authentication failed."}
    with pytest.raises(MongodbError, match=r"db1:27017 refused: Authentication failed. \(error 18\)") as told:
        asked(pymongo.errors.OperationFailure("refused, full error: {'pwd': 'secret'}", 18, details))
    assert told.value.code == 18 and "secret" not in str(told.value)


def test_a_member_that_is_no_primary_answers_so_it_is_there() -> None:
    with pytest.raises(MongodbError) as told:
        asked(pymongo.errors.NotPrimaryError("not primary", {"code": 10107, "errmsg": "not primary"}))
    assert told.value.code == 10107


def test_a_lost_connection_is_no_answer() -> None:
    with pytest.raises(Unreachable):
        asked(pymongo.errors.AutoReconnect("connection closed"))


def test_another_certificate_is_told_as_such() -> None:
    text = "SSL handshake failed: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: IP address mismatch"
    with pytest.raises(StoreError, match="certificate that cannot be trusted") as told:
        asked(pymongo.errors.ServerSelectionTimeoutError(text))
    assert not isinstance(told.value, Unreachable)


def test_a_missing_authority_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be asked"):
        Client("db1", ca=str(tmp_path / "none.pem"))


def test_a_missing_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymongo", None)
    with pytest.raises(StoreError, match="install the package python3-pymongo"):
        mongodb_client._library()


def test_a_key_may_be_broken_into_lines() -> None:
    assert plain("a2V5\nb2Yg \n") == "a2V5b2Yg"
