# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings planned numbers of workers into Tutor's configuration: settings, plugin and record in one step.

In one step, because a number whose record is missing would be taken for one that somebody set by hand.
"""

from __future__ import annotations

from typing import Any

from .tutor import Tutor
from .tutor_errors import TutorError
from .tutor_stage import Outcome, converge
from .tutor_workers_plan import Plan
from .tutor_workers_plugin import PLUGIN, Record


def apply(tutor: Tutor, plan: Plan, *, check_mode: bool, backups: int) -> Outcome:
    """Do it, or say what it would do; nothing is rolled yet."""
    wanted = plan.record != Record()
    file = plan.record.plugin()

    def act(target: Tutor) -> None:
        if wanted:
            file.install(target)
        config = {name: value for name, value in target.user_config().items() if name not in plan.unset}
        config.update(plan.set)
        enabled = [str(name) for name in config.get("PLUGINS") or []]
        if wanted != (PLUGIN in enabled):
            config["PLUGINS"] = sorted({*enabled, PLUGIN} if wanted else {*enabled} - {PLUGIN})
        target.write_config(config)
        target.save()
        if not wanted:
            (target.plugins_root / file.file_name).unlink(missing_ok=True)

    def verify(config: dict[str, Any]) -> None:
        for name, value in plan.set.items():
            if config.get(name) != value:
                raise TutorError(
                    f"Tutor did not keep {name}: {value}, because another plugin forces this setting; look for it "
                    "among `tutor plugins list -e`."
                )

    return converge(tutor, act, verify, check_mode=check_mode, with_plugins=True, backups=backups)
