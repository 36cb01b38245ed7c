"""A platform with a ledger in memory, in a thread of its own, that behaves, or misbehaves in one way on purpose."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from urllib.parse import parse_qs, urlsplit


class Fault(Enum):
    """What the platform does to one request."""

    LOSE = auto()  # acknowledges a write that it did not keep
    DUPLICATE = auto()  # keeps it twice
    REFUSE = auto()  # answers 502
    KEEP_AND_REFUSE = auto()  # keeps the write and answers 502
    RESET = auto()  # closes the connection without a byte
    KEEP_AND_RESET = auto()
    CUT_SHORT = auto()  # promises more bytes than it sends
    HANG = auto()  # never answers
    MISS = auto()  # answers 404


@dataclass(frozen=True)
class Call:
    """A request as it arrived."""

    time: float
    method: str
    host: str
    path: str


#: Decides about a request; the number counts requests of the same method.
Misbehave = Callable[[Call, int], "Fault | None"]


class FakePlatform:
    def __init__(self, misbehave: Misbehave = lambda call, number: None, task_seconds: float = 0.0) -> None:
        self.misbehave = misbehave
        self.task_seconds = task_seconds
        self.calls: list[Call] = []
        self.faulted: list[str] = []
        self.rows: dict[str, Counter[str]] = defaultdict(Counter)
        self._queue: list[tuple[float, str]] = []
        self._numbers: Counter[str] = Counter()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> FakePlatform:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def posted(self) -> list[str]:
        """The keys of all writes that arrived, in their order."""
        return [call.path.partition("key=")[2] for call in self.calls if call.method == "POST"]

    def stall(self, seconds: float) -> None:
        """Answer nothing for so long; requests still arrive."""
        self._loop.call_soon_threadsafe(self._flowing.clear)
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._flowing.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split()
            host = next(line.split(": ")[1] for line in head if line.startswith("Host: "))
            call = Call(time.monotonic(), method, host, path)
            self.calls.append(call)
            self._numbers[method] += 1
            fault = self.misbehave(call, self._numbers[method])
            if fault:
                self.faulted.append(path)
            await self._flowing.wait()
            if fault is Fault.HANG:
                await self._over.wait()
            status, body = self._answer(call, fault)
            length = len(body) + (fault is Fault.CUT_SHORT)
            if fault not in (Fault.RESET, Fault.KEEP_AND_RESET):
                writer.write(f"HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\n\r\n".encode() + body)
        except (ConnectionError, asyncio.IncompleteReadError):  # The client was killed.
            pass
        finally:
            writer.close()

    def _answer(self, call: Call, fault: Fault | None) -> tuple[int, bytes]:
        if call.method == "POST":
            self._keep(call.path, fault)
        if fault in (Fault.REFUSE, Fault.KEEP_AND_REFUSE):
            return 502, b"bad gateway"
        if fault is Fault.MISS:
            return 404, b""
        parts = urlsplit(call.path)
        if not parts.path.startswith("/ledger/"):
            return 200, b"a page"
        if call.method == "POST":
            return 201, b"{}"
        self._work()
        _, _, store, *key = parts.path.split("/")
        if key:
            return (200, b"{}") if self.rows[store][key[0]] else (404, b"")
        prefix = parse_qs(parts.query)["prefix"][0]
        counts = {key: count for key, count in self.rows[store].items() if key.startswith(prefix)}
        return 200, json.dumps({"counts": counts}).encode()

    def _keep(self, path: str, fault: Fault | None) -> None:
        if fault not in (None, Fault.DUPLICATE, Fault.KEEP_AND_REFUSE, Fault.KEEP_AND_RESET):
            return
        parts = urlsplit(path)
        store, key = parts.path.removeprefix("/ledger/"), parse_qs(parts.query)["key"][0]
        if store == "celery":
            self._queue.append((time.monotonic() + self.task_seconds, key))
        else:
            self.rows[store][key] += 2 if fault is Fault.DUPLICATE else 1

    def _work(self) -> None:
        """Work off the tasks that are due."""
        while self._queue and self._queue[0][0] <= time.monotonic():
            self.rows["celery"][self._queue.pop(0)[1]] += 1
