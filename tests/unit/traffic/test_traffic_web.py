"""Answers are read as HTTP/1.1 frames them; what is no whole answer is none."""

from __future__ import annotations

import asyncio

import pytest
from trafficlib.web import Answer, Target, Unanswered, ask


def exchange(sent: bytes, timeout: float = 1.0) -> tuple[Answer, bytes]:
    """Ask a server that says just this; the answer, and the request as it came."""

    async def both() -> tuple[Answer, bytes]:
        asked = asyncio.get_running_loop().create_future()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set_result(await reader.readuntil(b"\r\n\r\n"))
            writer.write(sent)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        target = Target(*server.sockets[0].getsockname())
        async with server:
            return await ask(target, "POST", "lms.test", "/x?key=1", timeout), await asked

    return asyncio.run(both())


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nokay", b"ok"),
        (b"HTTP/1.1 201 Created\r\n\r\nto the end", b"to the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", b""),
        (
            b"HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: t\r\n\r\n",
            b"abc0123456789",
        ),
    ],
)
def test_framings(sent: bytes, body: bytes) -> None:
    answer, asked = exchange(sent)
    assert answer == Answer(201, body)
    assert asked.startswith(b"POST /x?key=1 HTTP/1.1\r\nHost: lms.test\r\n")
    assert b"Content-Length: 0\r\n" in asked


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "cut short"),
        (b"HTTP/1.1 200 OK\r\nContent-Len", "cut short"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "cut short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "cut short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "cut short"),
        (b"garbage\r\n\r\n", "not HTTP"),
    ],
)
def test_what_is_no_answer(sent: bytes, reason: str) -> None:
    with pytest.raises(Unanswered, match=reason):
        exchange(sent)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("10.0.0.1", Target("10.0.0.1", 80)),
        ("app.test:8080", Target("app.test", 8080)),
        ("[fd00::1]:81", Target("fd00::1", 81)),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert Target.parse(text) == target


@pytest.mark.parametrize("text", ["", ":80", "host:port", "host:99999"])
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(ValueError):
        Target.parse(text)
