# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A short load on the platform through Caddy, and what the host did meanwhile.

The loop is open: a request leaves when it is due, whatever became of those before it, and its latency counts from then.
A load generator that waits for answers would send less just when the platform stalls, and would not see the stall.
Pages are only read.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .tutor_workers_look import PROC, memory

_LIMIT = 1 << 16


@dataclass(frozen=True)
class Page:
    """A page of a site."""

    host: str
    path: str


@dataclass(frozen=True)
class Target:
    """Where Caddy listens on this host."""

    port: int
    secure: bool = False
    address: str = "127.0.0.1"


@dataclass(frozen=True)
class Measured:
    """What a load met; latencies in milliseconds, memory in bytes."""

    requests: int
    failed: int
    throughput: float
    p50_ms: float
    p99_ms: float
    cpu_percent: float
    memory: int

    def as_dict(self) -> dict[str, Any]:
        """For the result of a module."""
        return asdict(self)


@dataclass(frozen=True)
class Tolerance:
    """What still counts as equal, because no two loads are the same."""

    throughput: float = 0.05
    """Share of the throughput that may be missing."""
    latency: float = 0.25
    """Share by which the 99th percentile may be longer."""
    latency_ms: float = 25.0
    """And by at least so much."""


class Usage:
    """CPU and memory of the host while a load runs."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._begun = self._ticks()
        self.memory = 0

    def look(self) -> None:
        """Note the memory in use, of which the highest counts."""
        now = memory(self._proc)
        self.memory = max(self.memory, now.total - now.available)

    def cpu_percent(self) -> float:
        """How busy the cores were since the beginning, 100 being all of them."""
        busy, total = (end - start for end, start in zip(self._ticks(), self._begun, strict=True))
        return round(100.0 * busy / total, 1) if total else 0.0

    def _ticks(self) -> tuple[int, int]:
        fields = [
            int(word) for word in (self._proc / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
        ]
        return sum(fields) - fields[3] - fields[4], sum(fields)


async def ask(target: Target, page: Page, timeout: float) -> int:
    """Ask for a page on a connection of its own; gives the status, 0 when there is no whole answer."""
    with contextlib.suppress(OSError, asyncio.TimeoutError, ValueError, IndexError, EOFError):
        return await asyncio.wait_for(_exchange(target, page), timeout)
    return 0


async def _exchange(target: Target, page: Page) -> int:
    context = None
    if target.secure:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # this host asks itself for public pages
    reader, writer = await asyncio.open_connection(
        target.address, target.port, ssl=context, server_hostname=page.host if context else None, limit=_LIMIT
    )
    try:
        head = (
            f"GET {page.path} HTTP/1.1\r\nHost: {page.host}\r\nUser-Agent: tutorops-load\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode())
        status = int((await reader.readline()).split()[1])
        while await reader.read(_LIMIT):
            pass
        return status
    finally:
        writer.close()


Ask = Callable[[Target, Page, float], Any]


async def _load(
    target: Target, pages: Sequence[Page], rate: float, seconds: float, timeout: float, send: Ask, usage: Usage
) -> tuple[list[tuple[float, bool]], float]:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    results: list[tuple[float, bool]] = []

    async def fly(due: float, page: Page) -> None:
        status = await send(target, page, timeout)
        results.append((loop.time() - due, 200 <= status < 400))

    flights = []
    for number in range(int(rate * seconds)):
        due = begun + number / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        flights.append(asyncio.create_task(fly(due, pages[number % len(pages)])))
        if number % max(1, int(rate)) == 0:
            usage.look()
    await asyncio.gather(*flights)
    return results, loop.time() - begun


def measure(
    target: Target,
    pages: Sequence[Page],
    rate: float,
    seconds: float,
    timeout: float = 30.0,
    send: Ask = ask,
    usage: Usage | None = None,
) -> Measured:
    """Send so many requests a second for so long, wait for the last answer, and say what was met."""
    used = usage or Usage()
    results, took = asyncio.run(_load(target, pages, rate, seconds, timeout, send, used))
    latencies = sorted(latency for latency, _good in results)
    good = sum(1 for _latency, fine in results if fine)
    return Measured(
        requests=len(results),
        failed=len(results) - good,
        throughput=round(good / took, 2) if took else 0.0,
        p50_ms=_percentile(latencies, 0.50),
        p99_ms=_percentile(latencies, 0.99),
        cpu_percent=used.cpu_percent(),
        memory=used.memory,
    )


def _percentile(ordered: Sequence[float], share: float) -> float:
    if not ordered:
        return 0.0
    return round(1000.0 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


def worse(before: Mapping[str, Any], after: Mapping[str, Any], tolerance: Tolerance | None = None) -> list[str]:
    """Say in which respects the second load went worse than the first; nothing when it did not."""
    bounds = tolerance or Tolerance()
    found = []
    if after["failed"] * before["requests"] > before["failed"] * after["requests"]:
        found.append(f"{after['failed']} of {after['requests']} requests failed, and before {before['failed']}")
    if after["throughput"] < before["throughput"] * (1 - bounds.throughput):
        found.append(f"{after['throughput']:g} answers a second, and before {before['throughput']:g}")
    allowed = max(before["p99_ms"] * (1 + bounds.latency), before["p99_ms"] + bounds.latency_ms)
    if after["p99_ms"] > allowed:
        found.append(f"99 % of the answers within {after['p99_ms']:g} ms, and before {before['p99_ms']:g} ms")
    return found
