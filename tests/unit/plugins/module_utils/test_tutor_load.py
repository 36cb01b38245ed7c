# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The load: it does not wait for answers, counts what fails, and two of them are compared."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_load import (
    Page,
    Target,
    Tolerance,
    Usage,
    measure,
    worse,
)

PAGES = [Page("lms.test", "/"), Page("studio.test", "/heartbeat")]


class Site(http.server.BaseHTTPRequestHandler):
    seen: list[tuple[str, str]] = []

    def do_GET(self) -> None:
        Site.seen.append((self.headers["Host"], self.path))
        self.send_response({"/broken": 503, "/away": 302}.get(self.path, 200))
        self.end_headers()
        self.wfile.write(b"x" * 100_000)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def target() -> Iterator[Target]:
    Site.seen.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Target(server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.fixture
def usage(tmp_path: Path) -> Usage:
    """A host whose figures stand still."""
    (tmp_path / "stat").write_text("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1 1 1 1\n")
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 400 kB\n")
    return Usage(tmp_path)


def test_pages_are_asked_in_turn_at_their_hosts(target: Target, usage: Usage) -> None:
    found = measure(target, PAGES, rate=100, seconds=0.2, usage=usage)
    assert (found.requests, found.failed) == (20, 0)
    assert sorted(Site.seen) == sorted([("lms.test", "/"), ("studio.test", "/heartbeat")] * 10)
    assert found.memory == 600 * 1024


def test_errors_fail_and_redirects_do_not(target: Target, usage: Usage) -> None:
    pages = [Page("lms.test", "/broken"), Page("lms.test", "/away")]
    found = measure(target, pages, rate=100, seconds=0.1, usage=usage)
    assert (found.requests, found.failed) == (10, 5)


def test_nobody_at_home_is_a_failure_and_no_crash(usage: Usage) -> None:
    found = measure(Target(1), PAGES, rate=100, seconds=0.1, usage=usage)
    assert (found.requests, found.failed, found.throughput) == (10, 10, 0.0)


def test_a_request_does_not_wait_for_the_one_before_it(usage: Usage) -> None:
    under_way = most = 0

    async def stalls(_target: Target, _page: Page, _timeout: float) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.5)
        under_way -= 1
        return 200

    found = measure(Target(1), PAGES, rate=50, seconds=0.3, send=stalls, usage=usage)
    assert most == found.requests == 15
    assert found.p50_ms >= 490


def test_cpu_is_what_was_busy_since_the_beginning(usage: Usage, tmp_path: Path) -> None:
    # 100 ticks more, 20 of them idle and 20 waiting for a disk.
    (tmp_path / "stat").write_text("cpu  40 0 40 90 30 0 0 0 0 0\n")
    assert usage.cpu_percent() == 60.0


BEFORE = {"requests": 100, "failed": 0, "throughput": 20.0, "p99_ms": 200.0}


@pytest.mark.parametrize(
    ("after", "count"),
    [
        (BEFORE, 0),
        ({**BEFORE, "throughput": 19.5, "p99_ms": 249.0}, 0),
        ({**BEFORE, "failed": 1}, 1),
        ({**BEFORE, "throughput": 18.0}, 1),
        ({**BEFORE, "p99_ms": 260.0}, 1),
        ({**BEFORE, "failed": 9, "throughput": 1.0, "p99_ms": 9999.0}, 3),
        ({**BEFORE, "p99_ms": 20.0, "throughput": 30.0}, 0),
    ],
)
def test_worse_is_what_learners_would_notice(after: dict[str, float], count: int) -> None:
    assert len(worse(BEFORE, after)) == count


def test_short_latencies_may_differ_by_some_milliseconds() -> None:
    quick = {**BEFORE, "p99_ms": 10.0}
    assert worse(quick, {**quick, "p99_ms": 34.0}) == []
    assert worse(quick, {**quick, "p99_ms": 34.0}, Tolerance(latency_ms=5.0))
