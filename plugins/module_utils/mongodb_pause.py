# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what Tutor's containers send to a set from arriving, for the moment in which the work moves.

Drivers repeat a write that a primary did not confirm, and a set knows it again by its session; but not here: a session
belongs to who is logged in, and Tutor's container, which asks nobody (`--transitionToAuth`), takes everybody for the
same. A write that was done on one end and repeated on the other would be done twice (seen as duplicate keys). So no
operation may be at work when the primary steps down, of workers neither, who know no hold of requests. Their packets
are dropped, which TCP makes up for by itself as soon as they pass again; what was sent before is answered.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Protocol

from .mongodb_config import split_host
from .netns import Gate, NetworkError
from .stores.base import StoreError

_TABLE = "inet tutorops_mongodb"
_NAMESPACE = "/proc/self/ns/net"
#: An nft script that ends a pause; harmless without one.
NO_PAUSE = f"table {_TABLE} {{}}\ndelete table {_TABLE}\n"


class Pause(Protocol):
    """Keeps clients' operations from arriving."""

    def check(self) -> None:
        """Raise StoreError when it could not."""

    def hold(self, hosts: Sequence[str], seconds: float) -> None:
        """Let nothing pass to some members, for so long at most."""

    def release(self) -> None:
        """Let everything pass; harmless without a pause."""


class PacketPause:
    """By nftables on this host. It ends by itself, whoever began it."""

    def __init__(
        self, clients: Callable[[], Sequence[str]], container: Callable[[], str], gate: Gate | None = None
    ) -> None:
        self._clients = clients
        self._container = container
        self._gate = gate or Gate()

    def check(self) -> None:
        """Say in one sentence what this host lacks for it."""
        try:
            self._gate.check()
        except NetworkError as problem:
            raise StoreError(f"MongoDB's work cannot be moved: {problem}") from problem

    def hold(self, hosts: Sequence[str], seconds: float) -> None:
        """Let nothing pass to some members, for so long at most."""
        self._apply(rules(self._clients(), self._container(), hosts, seconds))

    def release(self) -> None:
        """Let everything pass."""
        self._apply(NO_PAUSE)

    def _apply(self, script: str) -> None:
        try:
            self._gate.apply(_NAMESPACE, script)
        except NetworkError as problem:
            raise StoreError(f"packets to MongoDB can be neither held nor let pass: {problem}") from problem


def rules(clients: Sequence[str], container: str, hosts: Sequence[str], seconds: float) -> str:
    """An nft script that begins a pause, replacing an earlier one in one step.

    The container of the local end is a client of the others itself, as a member; it has to get through.
    """
    match = f"ip saddr {{ {', '.join(filter(_is_old, clients))} }} ip saddr != {container} ip daddr . tcp dport @paused"
    listed = [f"{name} . {port} timeout {max(1, round(seconds * 1000))}ms" for name, port in map(split_host, hosts)]
    chains = "".join(
        f"  chain {name} {{\n    type filter hook {hook} priority -10; policy accept;\n    {match} drop\n  }}\n"
        for name, hook in (("entering", "input"), ("passing", "forward"))
    )
    return (
        f"{NO_PAUSE}table {_TABLE} {{\n"
        "  set paused { type ipv4_addr . inet_service; flags timeout; }\n"
        f"{chains}}}\n"
        f"add element {_TABLE} paused {{ {', '.join(listed)} }}\n"
    )


def _is_old(network: str) -> bool:
    return ipaddress.ip_network(network).version == 4
