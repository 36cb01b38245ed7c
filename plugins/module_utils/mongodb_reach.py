# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a member's name leads to it from within a container, where the platform's drivers will use that name.

From the instant in which Tutor's container becomes a member of a set, drivers use only the names that the set lists. So
each is tried in the network of a container of the platform before anything is changed.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from .mongodb_config import split_host
from .netns import inside
from .stores.base import StoreError

#: MongoDB's message with a command.
_MESSAGE = 2013
_HEADER = struct.Struct("<iiii")

Inside = Callable[[int, Callable[[], "dict[str, Any]"]], "dict[str, Any]"]


def refuse_unreachable(pid: int, host: str, container: str, visit: Inside = inside, timeout: float = 3.0) -> str:
    """Raise unless a MongoDB answers under a name in the network of a process; return what tells which one it is."""
    address, port = split_host(host)
    try:
        said = visit(pid, lambda: ask_hello(address, port, timeout))
    except OSError as problem:
        raise StoreError(
            f"container {container} does not reach MongoDB at {host} ({problem or type(problem).__name__}), where the "
            "platform's drivers would look for it: open the way from Tutor's containers to it"
        ) from problem
    return str((said.get("topologyVersion") or {}).get("processId", ""))


def ask_hello(address: str, port: int, timeout: float) -> dict[str, Any]:
    """What a server says to who connects; OSError when it says nothing that makes sense."""
    from bson import decode, encode

    with socket.create_connection((address, port), timeout) as channel:
        body = encode({"hello": 1, "$db": "admin"})
        channel.sendall(_HEADER.pack(_HEADER.size + 5 + len(body), 1, 0, _MESSAGE) + struct.pack("<iB", 0, 0) + body)
        length, _, _, kind = _HEADER.unpack(_read(channel, _HEADER.size))
        if kind != _MESSAGE or not _HEADER.size + 5 < length < 1 << 20:
            raise OSError("what answers there is not MongoDB")
        return dict(decode(_read(channel, length - _HEADER.size)[5:]))


def _read(channel: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = channel.recv(size - len(parts))
        if not part:
            raise OSError("it closed the connection")
        parts += part
    return parts
