# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the health endpoints of the members say, asked over the network as load balancers ask them."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from .mysql_member import Member


def endpoint_state(address: str, port: int, timeout: float = 5.0) -> str | None:
    """Ask an endpoint for its member's state in the group; None where it does not tell."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/status")
        state = json.loads(connection.getresponse().read())["state"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()
    return str(state)


def await_endpoints(
    members: Sequence[Member],
    port: int,
    expected: Mapping[str, str],
    seconds: float = 10.0,
    ask: Callable[[str, int], str | None] = endpoint_state,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> dict[str, str | None]:
    """Give what the endpoints say, by the members' names, once it is what is expected, or when the time is up."""
    ends = clock() + seconds
    while True:
        with ThreadPoolExecutor(max(1, len(members))) as pool:
            answers = pool.map(lambda member: ask(member.address, port), members)
            found = {member.name: answer for member, answer in zip(members, answers, strict=True)}
        if found == dict(expected) or clock() >= ends:
            return found
        wait(0.5)
