"""One HTTP/1.1 request on a connection of its own, sent once and never again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

_LIMIT = 1 << 20


class Unanswered(Exception):
    """No whole answer came; the message is the reason in a word or two."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Target:
    """Where the platform's web server listens."""

    host: str
    port: int = 80

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT."""
        parts = urlsplit(f"//{text}")
        if not parts.hostname:
            raise ValueError(f"'{text}' is no address")
        return cls(parts.hostname, parts.port or 80)


async def ask(target: Target, method: str, host: str, path: str, timeout: float) -> Answer:
    """Send a request and read its answer; raise Unanswered where there is none within ``timeout`` seconds."""
    try:
        async with asyncio.timeout(timeout):
            return await _exchange(target, method, host, path)
    except TimeoutError as problem:
        raise Unanswered("timed out") from problem
    except ConnectionRefusedError as problem:
        raise Unanswered("refused") from problem
    except ConnectionError as problem:
        raise Unanswered("reset") from problem
    except asyncio.IncompleteReadError as problem:
        raise Unanswered("cut short") from problem
    except OSError as problem:
        raise Unanswered(problem.strerror or str(problem)) from problem
    except (ValueError, IndexError, asyncio.LimitOverrunError) as problem:
        raise Unanswered("not HTTP") from problem


async def _exchange(target: Target, method: str, host: str, path: str) -> Answer:
    reader, writer = await asyncio.open_connection(target.host, target.port, limit=_LIMIT)
    try:
        length = "Content-Length: 0\r\n" if method == "POST" else ""
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{length}\r\n".encode())
        return await _read_answer(reader)
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    first, headers = await _read_head(reader)
    while first.startswith(b"1", first.index(b" ") + 1):  # 1xx: the answer is still to come
        first, headers = await _read_head(reader)
    status = int(first.split()[1])
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, await _read_chunks(reader))
    if "content-length" in headers:
        return Answer(status, await reader.readexactly(int(headers["content-length"])))
    return Answer(status, await reader.read())


async def _read_head(reader: asyncio.StreamReader) -> tuple[bytes, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    pairs = (line.decode("latin-1").partition(":") for line in lines if line)
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":  # trailers
        pass
    return b"".join(parts)
