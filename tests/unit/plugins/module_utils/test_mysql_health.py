# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health endpoints are asked until they say what their members say, and no longer than that."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_health import await_endpoints, endpoint_state
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_member import Member


class Endpoint(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/status" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("body", "state"),
    [(b'{"state": "ONLINE", "open": true}', "ONLINE"), (b"{}", None), (b"words", None), (b"[]", None), (b"", None)],
)
def test_an_endpoint(port: int, body: bytes, state: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Endpoint, "body", body)
    assert endpoint_state("127.0.0.1", port) == state


def test_nobody_listens(port: int) -> None:
    assert endpoint_state("127.0.0.2", 1) is None


MEMBERS = [Member("db1", "10.0.0.11"), Member("db2", "10.0.0.12")]
ONLINE = {"db1": "ONLINE", "db2": "ONLINE"}


def test_it_waits_for_what_is_expected_and_no_longer() -> None:
    now, asked = [0.0], []

    def ask(address: str, port: int) -> str | None:
        asked.append((address, port))
        return "ONLINE" if address == "10.0.0.11" or now[0] >= 1.0 else None

    def wait(seconds: float) -> None:
        now[0] += seconds

    found = await_endpoints(MEMBERS, 9200, ONLINE, ask=ask, clock=lambda: now[0], wait=wait)
    assert found == ONLINE and now == [1.0] and set(asked) == {("10.0.0.11", 9200), ("10.0.0.12", 9200)}


def test_it_gives_up_and_tells_what_they_say() -> None:
    now = [0.0]
    found = await_endpoints(
        MEMBERS,
        9200,
        ONLINE,
        ask=lambda *_: "OFFLINE",
        clock=lambda: now[0],
        wait=lambda seconds: now.__setitem__(0, now[0] + seconds),
    )
    assert found == {"db1": "OFFLINE", "db2": "OFFLINE"} and now == [10.0]
