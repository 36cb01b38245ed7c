# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_channel import Origin
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import MysqlError
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_clone import Copy
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_member import Member
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Unreachable

ORIGIN = Origin("10.0.0.10", 13306, "tutorops_repl", "secret")


class Recipient:
    """A member that goes through the states of a copy, one at each look."""

    def __init__(self, states: Sequence[str], begun: str = "") -> None:
        self.states = list(states)
        self.now = begun
        self.said: list[tuple[str, tuple[Any, ...]]] = []
        self.ended = threading.Event()
        self.problem: StoreError | None = Unreachable("the server is restarting")

    # the connection of the statement

    def __enter__(self) -> Recipient:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        self.said.append((sql, tuple(args)))
        if sql.startswith("CLONE"):
            self.now = "In Progress"
            assert self.ended.wait(10)
            if self.problem:
                raise self.problem
        return 0

    # the connection that looks

    def look(self) -> str:
        if self.states and self.now == "In Progress":
            step = self.states.pop(0)
            if step in ("restart", "killed"):
                self.ended.set()
                raise Unreachable("the server is restarting")
            if step == "refused":
                self.ended.set()
            else:
                self.now = step
        return self.now

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[dict[str, Any]]:
        if "AS running" in sql:
            state = self.look()
            return [
                {"state": state, "running": int(state == "In Progress" and not self.ended.is_set()), "restarted": 1}
            ]
        if "clone_progress" in sql:
            row = {"stage": "FILE COPY", "state": "In Progress", "estimate": 400, "data": 100, "seconds": 2}
            return [row, {"stage": "REDO COPY", "state": "Not Started", "estimate": 0, "data": 0, "seconds": 0}]
        return [{"error_no": 3862, "error_message": "no room"}]


def copy(recipient: Recipient) -> Copy:
    ticks = iter(range(10**6))
    return Copy(
        Member("db1", "10.0.0.11"),
        ORIGIN,
        recipient,
        lambda seconds: recipient,
        clock=lambda: float(next(ticks)),
        wait=lambda seconds: threading.Event().wait(0.001) and None,
    )


def test_a_copy_ends_when_the_member_is_back_and_says_so() -> None:
    recipient = Recipient(["In Progress", "In Progress", "restart", "restart", "Completed"])
    told: list[dict[str, Any]] = []
    copied = copy(recipient).run(lambda phase, figures: told.append(figures) if phase == "copy" else None)
    assert copied == 100
    assert told[0]["bytes_total"] == 400 and told[0]["bytes_done"] == 100
    assert (told[0]["rate"], told[0]["seconds_left"]) == (50, 6)
    statement, args = recipient.said[-1]
    # The password goes as an argument of the statement, and the donor has to show a certificate that is trusted.
    assert "REQUIRE SSL" in statement and "secret" not in statement and "secret" in args
    assert any("clone_ssl_ca" in sql for sql, _ in recipient.said)


def test_a_copy_that_runs_already_is_waited_for() -> None:
    recipient = Recipient(["In Progress", "restart", "Completed"], begun="In Progress")
    copy(recipient).run(lambda phase, figures: None)
    assert recipient.said == []


def test_a_copy_that_failed_earlier_begins_anew() -> None:
    recipient = Recipient(["In Progress", "restart", "Completed"], begun="Failed")
    copy(recipient).run(lambda phase, figures: None)
    assert recipient.said


@pytest.mark.parametrize("code", [3862, 3870])
def test_a_copy_that_is_refused_says_why(code: int) -> None:
    recipient = Recipient(["In Progress", "refused"], begun="Completed")
    recipient.problem = MysqlError("no", code)
    with pytest.raises(StoreError, match="db1 failed: no room .error 3862.*run the same playbook again"):
        copy(recipient).run(lambda phase, figures: None)


def test_a_member_that_nobody_restarts_is_named() -> None:
    recipient = Recipient(["In Progress", *["restart"] * 400])
    with pytest.raises(StoreError, match="db1 did not come back"):
        copy(recipient).run(lambda phase, figures: None)


def test_a_member_that_was_killed_in_a_copy_is_not_waited_for() -> None:
    """It says for ever that the copy is in progress, but nothing is at work there."""
    with pytest.raises(StoreError, match="run the same playbook again"):
        copy(Recipient(["In Progress", "killed"])).run(lambda phase, figures: None)
