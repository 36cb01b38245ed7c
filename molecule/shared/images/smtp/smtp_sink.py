"""An SMTP server on port 8025 that accepts every message and prints its size."""

from __future__ import annotations

import asyncio
import signal

PORT = 8025


async def read_message(reader: asyncio.StreamReader) -> int:
    """Read the lines of one message up to the lone dot, and return how many bytes came."""
    size = 0
    while line := await reader.readline():
        if line.rstrip(b"\r\n") == b".":
            break
        size += len(line)
    return size


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client until it says goodbye or leaves."""

    async def answer(text: str) -> None:
        writer.write(text.encode() + b"\r\n")
        await writer.drain()

    try:
        await answer("220 lab smtp sink")
        while line := await reader.readline():
            verb = line[:4].strip().upper()
            if verb == b"QUIT":
                await answer("221 goodbye")
                break
            if verb == b"DATA":
                await answer("354 end with a lone dot")
                print(f"message of {await read_message(reader)} bytes", flush=True)
            await answer("250 accepted")
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve() -> None:
    """Listen until a signal to stop arrives."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await asyncio.start_server(converse, "0.0.0.0", PORT)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve())
