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
    """A whole answer, and the cookie of the session that it began."""

    status: int
    body: bytes
    cookie: str | None = None


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


async def ask(target: Target, method: str, host: str, path: str, timeout: float, cookie: str | None = None) -> Answer:
    """Send a request and read its answer; raise Unanswered where there is none within ``timeout`` seconds."""
    try:
        async with asyncio.timeout(timeout):
            return await _exchange(target, method, host, path, cookie)
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


async def _exchange(target: Target, method: str, host: str, path: str, cookie: str | None) -> Answer:
    reader, writer = await asyncio.open_connection(target.host, target.port, limit=_LIMIT)
    try:
        headers = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        headers += ["Content-Length: 0"] if method == "POST" else []
        headers += [f"Cookie: {cookie}"] if cookie else []
        writer.write("\r\n".join([*headers, "", ""]).encode())
        return await _read_answer(reader)
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    first, headers = await _read_head(reader)
    while first.startswith(b"1", first.index(b" ") + 1):  # 1xx: the answer is still to come
        first, headers = await _read_head(reader)
    status = int(first.split()[1])
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    return Answer(status, body, headers.get("set-cookie", "").partition(";")[0] or None)


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
