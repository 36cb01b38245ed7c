# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read out of a server's list of operations, as MongoDB 6.0 gives it to pymongo 4."""

from __future__ import annotations

from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import MongodbError
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_node import look, strangers, users, working
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Unreachable

DRIVER = {"driver": {"name": "PyMongo|c", "version": "4.4.0"}}
APP = [{"user": "openedx", "db": "admin"}]
SYSTEM = [{"user": "__system", "db": "local"}]


def operation(client: str = "172.18.0.1:1", **more: Any) -> dict[str, Any]:
    return {"type": "op", "client": client, "clientMetadata": DRIVER, "active": False, **more}


WAITS = operation(active=True, op="command", ns="admin.$cmd", command={"hello": 1, "topologyVersion": {}})
MEASURES = operation("172.18.0.1:2")
OURS = operation("172.18.0.1:3", appName="tutorops", active=True, command={"aggregate": 1})
MEMBER = operation("10.0.0.11:4", effectiveUsers=SYSTEM, active=True, op="getmore", command={"getMore": 1})
POOLED = operation("172.18.0.1:5", effectiveUsers=APP)


class Told:
    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def aggregate(self, pipeline: list[dict[str, Any]], database: str = "admin") -> list[dict[str, Any]]:
        return list(self.answers)

    def command(self, name: str, value: Any = 1, database: str = "admin", **options: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_drivers_that_watch_members_and_ourselves_are_no_work() -> None:
    assert working(Told(WAITS, MEASURES, OURS, MEMBER, POOLED)) == []


def test_an_operation_and_an_open_transaction_are_work() -> None:
    insert = operation(active=True, op="insert", ns="openedx.entries", command={"insert": "entries"})
    idle = operation("172.18.0.1:9", type="idleSession", transaction={"parameters": {}}, effectiveUsers=APP)
    found = working(Told(insert, idle, {"op": "none", "active": True}))
    assert [(one.what, one.user) for one in found] == [("insert openedx.entries", ""), ("transaction ", "openedx")]


def test_a_driver_that_only_watches_is_no_stranger() -> None:
    assert strangers(Told(WAITS, MEASURES, OURS, MEMBER, POOLED)) == []


def test_a_connection_beyond_those_that_watch_is_a_stranger() -> None:
    assert strangers(Told(WAITS, MEASURES, operation("172.18.0.7:6"), POOLED)) == [
        "PyMongo|c 4.4.0 from 172.18.0.1, 172.18.0.7 (1)"]  # fmt: skip


def test_a_server_tells_what_it_is() -> None:
    status = {"set": "openedx", "members": [{"stateStr": "PRIMARY", "self": True}, {"stateStr": "SECONDARY"}]}
    found = look("a:1", Told({"isWritablePrimary": True}, status, {"version": "7.0.28"}))
    assert (found.state, found.set_name, found.primary, found.in_set, found.healthy) == (
        "PRIMARY", "openedx", True, True, True)  # fmt: skip


def test_a_server_without_a_set_tells_why() -> None:
    for code, state in ((76, "STANDALONE"), (94, "UNINITIATED"), (93, "REMOVED")):
        found = look("a:1", Told({}, MongodbError("no set", code), {"version": "7.0.28"}))
        assert (found.state, found.in_set, found.healthy) == (state, False, False)


def test_a_server_that_is_silent_or_lets_nobody_in_is_told_as_such() -> None:
    for problem in (Unreachable("it does not answer"), MongodbError("it asks for a login", 13)):
        found = look("a:1", Told(problem))
        assert not found.reachable and found.error == str(problem)


def test_accounts_are_named_by_their_database() -> None:
    assert users(Told({"users": [{"db": "openedx", "user": "b"}, {"db": "admin", "user": "a"}]})) == [
        "admin.a", "openedx.b"]  # fmt: skip
