# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the moment at which no client is in the middle of something, and keep it.

`CLIENT PAUSE WRITE` lets writes wait. What waits then, and who has just taken a task off a queue, is told by CLIENT
LIST. Only where nobody does, connections can be cut without an error at a client and without a task that is lost
between its queue and the worker's record of it. A wait for a task or an event is no work: it is begun again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence

from .redis_info import parse_clients
from .redis_link import Link
from .stores.base import Busy, Session, StoreError

#: Commands that wait for something to come.
WAITING = frozenset(
    {"blpop", "brpop", "blmove", "brpoplpush", "blmpop", "bzpopmin", "bzpopmax", "bzmpop", "xread", "xreadgroup"}
)
#: Those that take it away for good: whoever just came back from one has not yet written down what it got.
TAKING = WAITING - {"xread", "xreadgroup"}
#: A worker that did nothing for so long, in whole seconds, has written down what it took.
TAKEN_SECONDS = 2
#: For what was on its way when the pause began.
_ARRIVE_SECONDS = 0.02
_AGAIN_SECONDS = 0.03
#: What is left of a pause when its owner is gone.
_REST_SECONDS = 2.0


def clients(link: Link, ours: Sequence[str]) -> list[dict[str, str]]:
    """The clients of a server, without replication, Sentinels and the collection's own."""
    return [one for one in parse_clients(link.text("CLIENT", "LIST")) if is_client(one, ours)]


def is_client(one: Mapping[str, str], ours: Sequence[str]) -> bool:
    """Whether it is the platform's."""
    return one.get("user", "default") not in ours and not set(one.get("flags", "")) & set("SMO")


def sessions(link: Link, ours: Sequence[str]) -> list[Session]:
    """The same, as every store tells it."""
    return [
        Session(
            account=one.get("user", "default"),
            address=address_of(one),
            idle_seconds=float(one.get("idle", 0)),
            in_transaction=int(one.get("multi", -1)) >= 0,
        )
        for one in clients(link, ours)
    ]


def address_of(one: Mapping[str, str]) -> str:
    """Where a client comes from."""
    return one.get("addr", "").rpartition(":")[0].strip("[]")


def working(one: Mapping[str, str]) -> str:
    """What a client is in the middle of while writes are paused, or an empty text."""
    command = one.get("cmd", "NULL")
    if int(one.get("multi", -1)) >= 0:
        return "is in a transaction"
    if int(one.get("qbuf", 0)) > 0:
        return "sends a command"
    if "b" in one.get("flags", ""):
        return "" if command in WAITING else f"waits for {command}"
    if command in TAKING and int(one.get("idle", 0)) < TAKEN_SECONDS:
        return f"has just come back from {command}"
    return ""


def quieten(
    link: Link,
    ours: Sequence[str],
    seconds: float,
    keep_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Pause writes at a quiet moment, for ``keep_seconds`` at most; raise Busy when there is none in time."""
    ends = clock() + seconds
    pause = str(int((keep_seconds + _REST_SECONDS) * 1000))
    try:
        while True:
            link.call("CLIENT", "PAUSE", pause, "WRITE")
            busy = _look_twice(link, ours, wait)
            if not busy:
                return
            link.call("CLIENT", "UNPAUSE")
            if clock() >= ends:
                raise Busy(
                    f"no quiet moment within {seconds:.1f} s: {len(busy)} client(s) of Redis work, the first one, "
                    f"{busy[0]}; the flip is postponed and nothing has changed; try again"
                )
            wait(_AGAIN_SECONDS)
    except Busy:
        raise
    except StoreError:
        with contextlib.suppress(StoreError):
            link.call("CLIENT", "UNPAUSE")
        raise


def _look_twice(link: Link, ours: Sequence[str], wait: Callable[[float], None]) -> list[str]:
    for _ in range(2):
        wait(_ARRIVE_SECONDS)
        found = [
            f"{one.get('user', 'default')} from {one.get('addr', '')}, {what}"
            for one in clients(link, ours)
            if (what := working(one))
        ]
        if found:
            return found
    return []
