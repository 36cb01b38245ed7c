# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one protocol that every store's driver speaks.

A store has two ends, C(local) (the container that Tutor runs) and C(cluster) (what takes its place), and a door, the
edge, whose durable pointer names the end that serves. At rest the end that the pointer names is open, and the other
one is closed and follows it. Every flip, rollback and recovery is a way into that state (see cutover.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..cutover import Flip, Limits, Note

LOCAL = "local"
CLUSTER = "cluster"
#: So many members go on without one of them.
LEAST_MEMBERS = 3

#: Receives what a stage is doing: a phase name and figures such as ``bytes_done``, ``bytes_total``, ``rate``.
Progress = Callable[[str, "dict[str, Any]"], None]
#: Takes the address and the port of a local container that runs; says whether that end is fenced, None when nobody can
#: tell. What a driver's static method ``probe(settings)`` returns, where it has one.
Probe = Callable[[str, int], "bool | None"]
#: Takes the same, and brings that container into the state that the store's pointer asks of it. What a driver's static
#: method ``tend(settings)`` returns, where it has one. The follower calls it, never twice at once, as soon as it knows
#: of a container that started and every few seconds after that. It takes the store's lock without
#: waiting (store_lock.locked), because a stage that runs comes first, is quick and idempotent; what it raises is said.
Tend = Callable[[str, int], None]


def amounts(done: int, total: int, seconds: float) -> dict[str, int | None]:
    """What Progress tells of bytes: how many, of how many, how fast in bytes a second, and the seconds left."""
    rate = done / seconds if seconds else 0.0
    return {
        "bytes_done": min(done, total),
        "bytes_total": total,
        "rate": round(rate),
        "seconds_left": round(max(total - done, 0) / rate) if rate else None,
    }


class StoreError(Exception):
    """A stage cannot go on; the message is one sentence for the operator: what, where, why, cure."""


class Unreachable(StoreError):
    """A server did not answer in time; nothing can be concluded about its state."""


class NotCaughtUp(StoreError):
    """The target has not applied the given position within the time allowed."""


class Busy(StoreError):
    """Work in flight did not end within the time allowed; the flip is postponed and nothing has changed."""


@dataclass(frozen=True)
class Session:
    """A client session on an end, as the engine reports it."""

    account: str
    address: str
    idle_seconds: float
    in_transaction: bool


@dataclass(frozen=True)
class Finding:
    """One line of a plan. ``id`` is stable; ``blocks`` stops ``offload`` before it changes anything."""

    id: str
    severity: str  # "info", "warning" or "blocker"
    subject: str
    message: str
    cure: str = ""

    @property
    def blocks(self) -> bool:
        """Whether nothing may be changed before this is mended."""
        return self.severity == "blocker"

    def as_dict(self) -> dict[str, Any]:
        """What a plan's JSON holds."""
        return asdict(self)


def blocker(identity: str, subject: str, message: str, cure: str) -> Finding:
    """A finding that blocks."""
    return Finding(identity, "blocker", subject, message, cure)


@dataclass(frozen=True)
class Difference:
    """A place where the ends hold different content."""

    where: str
    detail: str


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison by content at one point in time."""

    position: str
    items: int
    rows: int
    bytes: int
    seconds: float
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether the ends hold the same."""
        return not self.differences

    def as_dict(self) -> dict[str, Any]:
        """What a report's JSON holds."""
        return {**asdict(self), "equal": self.equal}


class End(Protocol):
    """One side of a store. Every method is idempotent and raises StoreError (or a subclass) on failure.

    Times are seconds. A call must return or raise within its time limit; those without one are bounded by the
    driver's own connection time-outs (a few seconds).
    """

    name: str

    def closed(self) -> bool:
        """Whether the end refuses writes from every client, and would still do so after its own restart."""

    def close(self, timeout: float) -> None:
        """Fence the end durably. After it returned no commit by a client can succeed."""

    def open(self) -> None:
        """Take writes, and go on doing so after a restart or a failover of the end."""

    def position(self) -> str:
        """What the end has committed; final once it is closed."""

    def reach(self, position: str, timeout: float) -> None:
        """Wait until the end has everything up to ``position``; raise NotCaughtUp otherwise."""

    def sessions(self) -> list[Session]:
        """The client sessions on the end, without replication's and the collection's own."""

    def follow(self, other: End) -> None:
        """Replicate from ``other`` from where this end stands, and stay closed to clients."""

    def unfollow(self) -> None:
        """Stop replicating from the other end."""


class Door(Protocol):
    """What stands between the clients and the ends of one store."""

    def pointer(self) -> str:
        """The end that serves, read from the disk."""

    def decide(self, end: str) -> None:
        """Write the pointer and fsync it: the one commit point of a flip."""

    def hold(self, seconds: float = 6.0) -> None:
        """Let new work wait, for so long at most. It ends by itself when its owner dies or restarts."""

    def release(self) -> None:
        """End a hold; harmless without one."""

    def connections(self) -> int:
        """How many connections through the door may carry work now."""

    def drop(self) -> None:
        """Close the connections that pass through the door."""

    def point(self, end: str) -> None:
        """Send new connections to ``end``, and wait until the door sees its server as up."""


class Store(Protocol):
    """A store's whole journey, driven on the app server.

    A driver has a class method ``from_settings(settings, door)``, which takes what stands in its file below
    /etc/tutorops/stores, and may have the static methods ``probe(settings)`` and ``tend(settings)`` (see above).
    """

    name: str
    door: Door

    def plan(self) -> list[Finding]:
        """Read both ends and tell what would happen and what blocks it. Changes nothing."""

    def prepare(self, progress: Progress) -> dict[str, Any]:
        """Do to the local end what has to be done before the platform is rolled to the edge; tell ``changed``.

        Runs when Tutor's configuration is rendered and the edge stands, and again at every later run: nothing is done
        then. Where requests have to wait for it, ``stall_seconds`` tells for how long they did.
        """

    def restore(self, progress: Progress) -> dict[str, Any]:
        """Undo prepare(), once detach() is done and Tutor is configured as it was found; tells the same."""

    def follow(self, progress: Progress) -> dict[str, Any]:
        """Seed the cluster from the local end if it was not, and leave it closed and following."""

    def compare(self, progress: Progress) -> Comparison:
        """Prove that the ends hold the same content at one point in time."""

    def ready(self) -> None:
        """Raise StoreError with the reason when a flip must not be tried now."""

    def move(self, end: str, limits: Limits, note: Note) -> Flip:
        """Move the work to ``end``, as cutover.flip() does and with the errors that it raises."""

    def settle(self, limits: Limits) -> str:
        """Finish or undo a move that was interrupted; return the end that serves (see cutover.settle)."""

    def commit(self) -> None:
        """End the way back: the local end no longer follows and stays closed."""

    def detach(self) -> bool:
        """Stop following, and take what was added to the local end away; return whether there was anything to do."""

    def status(self) -> dict[str, Any]:
        """What an operator wants to see: stage, members and roles, lag, way back, trouble, next steps.

        ``prepared`` is false while prepare() would still change something.
        """
