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
    DANGLE = auto()  # keeps the row of a course without its structure
    MISTAKE = auto()  # takes the learner for somebody else
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
    cookie: str = ""


#: Decides about a request; the number counts requests of the same method.
Misbehave = Callable[[Call, int], "Fault | None"]


class FakePlatform:
    def __init__(self, misbehave: Misbehave = lambda call, number: None, task_seconds: float = 0.0) -> None:
        self.misbehave = misbehave
        self.task_seconds = task_seconds
        self.calls: list[Call] = []
        self.faulted: list[str] = []
        self.rows: dict[str, Counter[str]] = defaultdict(Counter)
        self.dangling: list[str] = []
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

    @staticmethod
    def cookie(path: str) -> str:
        """The cookie of the learner who logs in by this request."""
        return f"sessionid=secret-of-{path.partition('key=')[2]}"

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
            headers = dict(line.split(": ", 1) for line in head[1:] if line)
            call = Call(time.monotonic(), method, headers["Host"], path, headers.get("Cookie", ""))
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
            login = f"Set-Cookie: {self.cookie(path)}; Path=/\r\n" if path.startswith("/ledger/sessions?key") else ""
            if fault not in (Fault.RESET, Fault.KEEP_AND_RESET):
                answer = f"HTTP/1.1 {status} Status\r\n{login}Content-Length: {length}\r\n\r\n"
                writer.write(answer.encode() + body)
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
        if parts.path == "/courses/published":
            return 409 if self.dangling else 200, json.dumps({"missing": self.dangling}).encode()
        if not parts.path.startswith("/ledger/"):
            return 200, b"a page"
        if call.method == "POST":
            return 201, b"{}"
        self._work()
        _, _, store, *key = parts.path.split("/")
        if store == "sessions":
            known = call.cookie == self.cookie(f"?key={key[0]}") and fault is not Fault.MISTAKE
            return (200, b"{}") if known and self.rows[store][key[0]] else (401, b"{}")
        if key:
            return (200, b"{}") if self.rows[store][key[0]] else (500, b"") if key[0] in self.dangling else (404, b"")
        prefix = parse_qs(parts.query)["prefix"][0]
        counts = {key: count for key, count in self.rows[store].items() if key.startswith(prefix)}
        return 200, json.dumps({"counts": counts}).encode()

    def _keep(self, path: str, fault: Fault | None) -> None:
        if fault not in (None, Fault.DUPLICATE, Fault.DANGLE, Fault.KEEP_AND_REFUSE, Fault.KEEP_AND_RESET):
            return
        parts = urlsplit(path)
        store, key = parts.path.removeprefix("/ledger/"), parse_qs(parts.query)["key"][0]
        times = 2 if fault is Fault.DUPLICATE else 1
        if fault is Fault.DANGLE:
            self.dangling.append(key)
        elif store == "celery":
            self._queue += [(time.monotonic() + self.task_seconds, key)] * times
        else:
            self.rows[store][key] += times

    def _work(self) -> None:
        """Work off the tasks that are due."""
        while self._queue and self._queue[0][0] <= time.monotonic():
            self.rows["celery"][self._queue.pop(0)[1]] += 1
