# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy a source into the first member of a cluster, physically (MySQL's clone plugin), while the source serves."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .mysql_channel import Origin
from .mysql_client import Connection, MysqlError
from .mysql_link import Link
from .mysql_member import Member
from .stores.base import Progress, StoreError, Unreachable, amounts

_COMPLETED, _RUNS, _RESTARTS = "Completed", "In Progress", "Restarts"
_PASSES = ("FILE COPY", "PAGE COPY", "REDO COPY")
#: A copy may take a day; its statement answers only at its end.
_RESTART_FAILED = 3707
_COPY_SECONDS = 7 * 86400.0
#: A member that was killed in a copy says for ever that it is in progress; one that restarts, only for a while.
_SETTLE_SECONDS = 10.0
_STATUS = "SELECT error_no, error_message FROM performance_schema.clone_status"
_LOOK = (
    "SELECT (SELECT MAX(state) FROM performance_schema.clone_status) AS state,"
    " (SELECT COUNT(*) FROM performance_schema.processlist"
    " WHERE id <> CONNECTION_ID() AND info LIKE 'CLONE INSTANCE%') AS running,"
    # A copy is complete when the member has started on it.
    " (SELECT TIMESTAMPDIFF(SECOND, MAX(begin_time), NOW()) FROM performance_schema.clone_status) >="
    " (SELECT variable_value + 0 FROM performance_schema.global_status WHERE variable_name = 'Uptime') AS restarted"
)
_PROGRESS = (
    "SELECT stage, state, estimate, data,"
    " TIMESTAMPDIFF(MICROSECOND, begin_time, COALESCE(end_time, NOW(6))) / 1e6 "
    "AS seconds"
    " FROM performance_schema.clone_progress"
)


@dataclass
class Copy:
    """One copy into a member. The statement runs in a thread; what counts is what the member itself says."""

    member: Member
    origin: Origin
    link: Link
    open: Callable[[float], Connection]
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    restart_seconds: float = 300.0
    _refused: list[StoreError] = field(default_factory=list)

    def run(self, progress: Progress) -> int:
        """Copy everything; returns the bytes copied. One that runs already, for an earlier call, is waited for."""
        thread = None
        if not self._look()[1]:
            thread = threading.Thread(target=self._statement, daemon=True)
            thread.start()
        self._await(progress, thread)
        return self._bytes()

    def _statement(self) -> None:
        origin = self.origin
        try:
            with self.open(_COPY_SECONDS) as connection:
                connection.execute("STOP GROUP_REPLICATION")
                # It begins a group after its restart; until then it would look for one in vain, for a minute.
                connection.execute("SET PERSIST group_replication_start_on_boot = OFF")
                connection.execute("SET GLOBAL super_read_only = OFF")
                connection.execute("SET GLOBAL clone_valid_donor_list = %s", (f"{origin.host}:{origin.port}",))
                # The donor has to show a certificate of our own authority.
                connection.execute("SET GLOBAL clone_ssl_ca = @@global.ssl_ca")
                connection.execute(
                    f"CLONE INSTANCE FROM %s@%s:{origin.port} IDENTIFIED BY %s REQUIRE SSL",
                    (origin.user, origin.host, origin.password),
                )
        except Unreachable:
            # The member restarts itself at the end of a copy.
            pass
        except StoreError as problem:
            # Without systemd above it a member can only stop; whoever supervises it starts it.
            if not (isinstance(problem, MysqlError) and problem.code == _RESTART_FAILED):
                self._refused.append(problem)

    def _await(self, progress: Progress, thread: threading.Thread | None) -> None:
        silent: float | None = None
        unsettled: float | None = None
        while True:
            ended = thread is None or not thread.is_alive()
            try:
                state, running = self._look()
                progress("copy", self._figures())
                silent = None
            except Unreachable:
                silent = self.clock() if silent is None else silent
                progress("restart", {"member": self.member.name})
                if self.clock() - silent > self.restart_seconds:
                    raise StoreError(
                        f"member {self.member.name} did not come back within {self.restart_seconds:.0f} s after the"
                        " copy: start MySQL there, then run the same playbook again"
                    ) from None
            else:
                # What an earlier copy left stands there until this one begins, so the statement's end comes first.
                if ended and not running:
                    if state == _COMPLETED and not self._refused:
                        return
                    unsettled = self.clock() if unsettled is None else unsettled
                    waits = state in (_RUNS, _RESTARTS) and self.clock() - unsettled <= _SETTLE_SECONDS
                    if self._refused or not waits:
                        raise self._failure()
            self.wait(0.2)

    def _look(self) -> tuple[str, bool]:
        """What the member says of its last copy, and whether the statement is at work there."""
        row = self.link.query(_LOOK)[0]
        state = str(row["state"] or "")
        return _RESTARTS if state == _COMPLETED and not row["restarted"] else state, bool(row["running"])

    def _figures(self) -> dict[str, object]:
        rows = {row["stage"]: row for row in self.link.query(_PROGRESS)}
        passes = [rows[name] for name in _PASSES if name in rows]
        done = sum(int(row["data"] or 0) for row in passes)
        total = sum(max(int(row["estimate"] or 0), int(row["data"] or 0)) for row in passes)
        seconds = sum(float(row["seconds"] or 0) for row in passes)
        stage = next((name for name, row in rows.items() if row["state"] == "In Progress"), "")
        return {"member": self.member.name, "stage": stage.lower(), **amounts(done, total, seconds)}

    def _bytes(self) -> int:
        rows = self.link.query(_PROGRESS)
        return sum(int(row["data"] or 0) for row in rows if row["stage"] in _PASSES)

    def _failure(self) -> StoreError:
        reason = ""
        with contextlib.suppress(StoreError):
            rows = self.link.query(_STATUS)
            reason = f"{rows[0]['error_message']} (error {rows[0]['error_no']})" if rows and rows[0]["error_no"] else ""
        reason = reason or (str(self._refused[0]) if self._refused else "it was interrupted")
        return StoreError(
            f"the copy into member {self.member.name} failed: {reason}; the platform is not affected, run the same "
            "playbook again"
        )
