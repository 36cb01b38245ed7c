# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One Redis server of either end: where it stands, its fence, whom it follows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from .redis_info import FENCED_LAG, FENCED_REPLICAS, Replication, pairs, parse_info, replication
from .redis_link import Link
from .stores.base import NotCaughtUp, StoreError, Unreachable

Wait = Callable[[float], None]
_POLL_SECONDS = 0.002
#: The address that a server which waits to be told follows: nobody is there.
NOBODY = ("127.0.0.1", 1)


class Server:
    """A server, by a link that is kept."""

    def __init__(self, name: str, link: Link, clock: Callable[[], float] = time.monotonic, wait: Wait = time.sleep):
        self.name = name
        self.link = link
        self._clock = clock
        self._wait = wait

    def look(self) -> Replication:
        """Its place in replication."""
        return replication(parse_info(self.link.text("INFO", "replication")))

    def version(self) -> str:
        """Its release."""
        return parse_info(self.link.text("INFO", "server")).get("redis_version", "")

    def process(self) -> str:
        """What tells one process of the server from the next one."""
        return parse_info(self.link.text("INFO", "server")).get("run_id", "")

    def end(self) -> None:
        """Shut it down in good order; whoever watches over it starts it again."""
        with contextlib.suppress(Unreachable):
            self.link.call("SHUTDOWN")
        self.link.close()

    def setting(self, name: str) -> str:
        """A setting in force, or an empty text."""
        return pairs(self.link.call("CONFIG", "GET", name)).get(name, "")

    def set(self, **settings: str | int) -> None:
        """Change settings, now."""
        for name, value in settings.items():
            self.link.call("CONFIG", "SET", name.replace("_", "-"), value)

    def keep(self) -> None:
        """Write the settings in force, and whom it follows, into its own file."""
        self.link.call("CONFIG", "REWRITE")

    def fenced(self) -> bool:
        """Whether it refuses every write even as a master."""
        return int(self.setting("min-replicas-to-write") or 0) >= FENCED_REPLICAS

    def refuses(self) -> bool:
        """Whether it refuses the writes of every client now."""
        return not self.look().master or self.fenced()

    def fence(self) -> None:
        """Refuse every write, and leave replication alone."""
        # Without the lag the number of replicas would not count.
        self.set(min_replicas_max_lag=FENCED_LAG, min_replicas_to_write=FENCED_REPLICAS)

    def lift_fence(self, least: int, lag: int) -> None:
        """Take writes again while there are so many replicas."""
        self.set(min_replicas_max_lag=lag, min_replicas_to_write=least)

    def follow(self, address: tuple[str, int]) -> bool:
        """Replicate from an address; returns whether it did not before."""
        state = self.look()
        if not state.master and (state.host, state.port) == address:
            return False
        self.link.call("REPLICAOF", *address)
        return True

    def lead(self) -> None:
        """Follow nobody."""
        if not self.look().master:
            self.link.call("REPLICAOF", "NO", "ONE")

    def unpause(self) -> None:
        """Let what waits go on."""
        self.link.call("CLIENT", "UNPAUSE")

    def reach(self, position: str, timeout: float) -> None:
        """Wait until it has everything up to a position."""
        ends = self._clock() + timeout
        while True:
            state = self.look()
            if state.has(position):
                return
            if self._clock() >= ends:
                link = "" if state.master or state.link_up else f", its link to {state.host}:{state.port} is down"
                raise NotCaughtUp(
                    f"{self.name} stands at {state.position}, and {position} was wanted within {timeout:.1f} s{link}: "
                    "try again when it has caught up"
                )
            self._wait(_POLL_SECONDS)

    def await_link(self, position: str, seconds: float) -> None:
        """Wait until it follows: up to a position, or in the middle of a full copy that goes on."""
        ends = self._clock() + seconds
        while True:
            state = self.look()
            if state.syncing or (state.link_up and state.has(position)):
                return
            if self._clock() >= ends:
                raise StoreError(
                    f"{self.name} does not follow {state.host}:{state.port} after {seconds:.0f} s: its log, and that "
                    "of the other side, tell why; run the same playbook again"
                )
            self._wait(0.05)
