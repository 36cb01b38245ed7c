# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows in the terminal how a stage gets on while it runs on the app server, and records what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.tutorops.scale.plugins.plugin_utils.progress import progress_line
from ansible_collections.tutorops.scale.plugins.plugin_utils.report import record_stage

display = Display()

MODULE = "tutorops.scale.store_stage"
#: Seconds between two tries to reach an app server that does not answer.
PAUSE = 5.0


class ActionModule(ActionBase):
    """Starts the stage, and looks at it until it has ended; the module does both on the app server."""

    _requires_connection = True
    clock: Callable[[], float] = staticmethod(time.monotonic)
    wait: Callable[[float], None] = staticmethod(time.sleep)

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        answer: dict[str, Any] = {"failed": True, "msg": "the app server could not be reached"}
        try:
            answer = self._ask(arguments, task_vars)
            if answer.get("running"):
                answer = self._follow(arguments, answer, task_vars)
        finally:
            self._record(arguments, answer)
        return answer

    def _record(self, arguments: dict[str, Any], answer: dict[str, Any]) -> None:
        """Keep it on the controller; that changes nothing on the managed systems."""
        report = arguments.get("report")
        if not report or self._task.check_mode:
            return
        folder = Path(report["directory"]).expanduser() / report["run"]
        try:
            record_stage(folder, arguments["store"], arguments["stage"], answer)
        except (OSError, ValueError) as problem:
            why = (
                f"the report below {folder} cannot be written ({problem}): set offload_report_dir to a folder that can"
            )
            if answer.get("failed"):
                display.warning(why)
            else:
                answer.update(failed=True, msg=why)

    def _follow(self, arguments: dict[str, Any], answer: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        title = f"{arguments['store']} {arguments['stage']}"
        ends = self.clock() + float(arguments.get("timeout", 86400))
        display.display(f"{title}: {'runs already, joined' if answer['joined'] else 'started'}")
        joined, shown = answer["joined"], ""
        while answer.get("running"):
            line = progress_line(answer["progress"])
            if line and line != shown:
                display.display(f"{title}: {line}")
                shown = line
            if self.clock() >= ends:
                return {
                    "failed": True,
                    "changed": False,
                    "progress": answer["progress"],
                    "msg": f"stage {title} has not ended within its timeout, but goes on by itself on the app server: "
                    "run the same playbook again to join it",
                }
            answer = self._look(title, arguments, ends, task_vars) or answer
        return {**answer, "joined": joined}

    def _look(self, title: str, arguments: dict[str, Any], ends: float, task_vars: Any) -> dict[str, Any] | None:
        """Ask how far the stage is, through interruptions of the connection; None when the time is up."""
        lost = False
        while self.clock() < ends:
            try:
                if lost:
                    self._connection.reset()
                answer = self._ask({**arguments, "join_only": True}, task_vars)
                if "running" in answer:
                    return answer
                reason = str(answer.get("msg") or answer.get("module_stderr") or "no answer").strip().splitlines()[0]
            except AnsibleConnectionFailure as problem:
                reason = str(problem).strip().splitlines()[0]
            if not lost:
                display.warning(f"{title}: the app server does not answer ({reason}); the stage goes on, trying again")
            lost = True
            self.wait(PAUSE)
        return None

    def _ask(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        answer.pop("invocation", None)
        return answer
