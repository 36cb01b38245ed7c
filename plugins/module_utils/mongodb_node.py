# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one MongoDB server says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .mongodb_client import (
    APPLICATION,
    AUTHENTICATION_FAILED,
    NO_REPLICATION,
    NOT_IN_SET,
    NOT_INITIALIZED,
    Client,
    MongodbError,
)
from .stores.base import StoreError

#: States besides those of a set's members (PRIMARY, SECONDARY, STARTUP2 and so on).
STANDALONE, UNINITIATED, REMOVED = "STANDALONE", "UNINITIATED", "REMOVED"
_WITHOUT_SET = {NO_REPLICATION: STANDALONE, NOT_INITIALIZED: UNINITIATED, NOT_IN_SET: REMOVED}
#: Commands by which drivers watch a server; they are there all the time and no work.
_WATCHING = ("hello", "isMaster", "ismaster", "ping", "buildInfo")


@dataclass(frozen=True)
class NodeState:
    """One server at one moment. ``state`` is empty when it could not be asked."""

    host: str
    reachable: bool
    error: str = ""
    state: str = ""
    set_name: str = ""
    primary: bool = False
    version: str = ""

    @property
    def in_set(self) -> bool:
        """Whether it is a member of a set."""
        return self.reachable and self.state not in (STANDALONE, UNINITIATED, REMOVED, "")

    @property
    def healthy(self) -> bool:
        """Whether it has the set's data and takes part."""
        return self.state in ("PRIMARY", "SECONDARY")

    def as_dict(self) -> dict[str, Any]:
        """What a module returns."""
        return asdict(self)


def look(host: str, client: Client) -> NodeState:
    """Ask a server who it is; one that does not answer, or lets nobody in, is told as such."""
    try:
        said = client.command("hello")
        state, set_name = _state(client)
        return NodeState(
            host=host,
            reachable=True,
            state=state,
            set_name=set_name,
            primary=bool(said.get("isWritablePrimary")) and state == "PRIMARY",
            version=str(client.command("buildInfo")["version"]),
        )
    except StoreError as problem:
        return NodeState(host, reachable=False, error=str(problem))


def _state(client: Client) -> tuple[str, str]:
    try:
        status = client.command("replSetGetStatus")
    except MongodbError as problem:
        if problem.code not in _WITHOUT_SET:
            raise
        return _WITHOUT_SET[problem.code], ""
    own: dict[str, Any] = next((one for one in status["members"] if one.get("self")), {})
    return str(own.get("stateStr", "UNKNOWN")), str(status["set"])


@dataclass(frozen=True)
class Operation:
    """Something that a server does for a client now."""

    client: str
    what: str
    user: str


def working(client: Client) -> list[Operation]:
    """What a server does for its clients now, open transactions included."""
    found = []
    for one in client.aggregate([{"$currentOp": {"allUsers": True, "idleSessions": True}}]):
        if _ours(one) or not (one.get("active") or one.get("transaction")):
            continue
        command = one.get("command") or {}
        if not one.get("client") or next(iter(command), "") in _WATCHING:
            continue
        found.append(Operation(str(one["client"]), f"{one.get('op', 'transaction')} {one.get('ns', '')}", _user(one)))
    return found


def is_let_in(client: Client) -> bool:
    """Whether a server accepts who asks."""
    try:
        client.command("ping")
    except MongodbError as problem:
        if problem.code != AUTHENTICATION_FAILED:
            raise
        return False
    return True


def strangers(client: Client) -> list[str]:
    """Connections that are not logged in, without those by which drivers only watch the server.

    A driver watches with two connections that never log in: one waits in C(hello) for news, one measures the way. So
    what is beyond one idle connection for each that waits does the work of somebody who has no account.
    """
    waiting: dict[str, int] = {}
    idle: dict[str, list[str]] = {}
    for one in client.aggregate([{"$currentOp": {"allUsers": True, "idleConnections": True}}]):
        if not one.get("client") or _ours(one) or one.get("effectiveUsers"):
            continue
        kind = _kind(one)
        if next(iter(one.get("command") or {}), "") in _WATCHING:
            waiting[kind] = waiting.get(kind, 0) + 1
        else:
            idle.setdefault(kind, []).append(str(one["client"]))
    return sorted(
        f"{kind} from {', '.join(sorted({address(one) for one in them}))} ({len(them) - waiting.get(kind, 0)})"
        for kind, them in idle.items()
        if len(them) > waiting.get(kind, 0)
    )


def address(client: str) -> str:
    """The address in what MongoDB calls a client."""
    return client.rpartition(":")[0].strip("[]") or client


def users(client: Client) -> list[str]:
    """The accounts that a server knows."""
    found: Sequence[dict[str, Any]] = client.command("usersInfo", {"forAllDBs": True})["users"]
    return sorted(f"{one['db']}.{one['user']}" for one in found)


def _ours(one: dict[str, Any]) -> bool:
    # The set's own members are logged in by the key file.
    return one.get("appName") == APPLICATION or _user(one) == "__system"


def _user(one: dict[str, Any]) -> str:
    return next((str(each["user"]) for each in one.get("effectiveUsers") or ()), "")


def _kind(one: dict[str, Any]) -> str:
    told = one.get("clientMetadata") or {}
    driver = told.get("driver") or {}
    parts = (one.get("appName"), driver.get("name"), driver.get("version"))
    return " ".join(str(part).strip("|") for part in parts if part) or "a client"
