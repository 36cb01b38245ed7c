# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Tutor plugin `tutorops_workers`: the concurrency of Celery, for which Tutor has no setting, and a record.

The record tells numbers of the collection from those that somebody set by hand, and keeps what `auto` chose from
changing with every look at the memory. The file is plain data and a few lines, so that an operator can read it, and it
works without this collection.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pprint import pformat
from typing import Any

from .tutor_errors import TutorError
from .tutor_plugin_file import PluginFile
from .tutor_workers import KINDS

PLUGIN = "tutorops_workers"

_TEMPLATE = '''\
"""Worker processes of this platform.

Written by the role tutor_scale of the Ansible collection tutorops.scale: change the inventory, not this file.
"""

from __future__ import annotations

from tutor import hooks

# What was asked for, and what it was worked out from; sizes are in bytes.
RECORD = @RECORD@

# Processes of Celery workers, by the filter of their command; the others have Celery's own number, one for each core.
CONCURRENCY: dict[str, int] = @CONCURRENCY@

for name, count in CONCURRENCY.items():
    getattr(hooks.Filters, name).add_item(f"--concurrency={count}", priority=hooks.priorities.LOW)
'''


@dataclass(frozen=True)
class Record:
    """What the collection did at its last change."""

    numbers: Mapping[str, int] = field(default_factory=dict)
    concurrency: Mapping[str, int] = field(default_factory=dict)
    """Those of Celery that the command has to name, because they are not what Celery does by itself."""
    auto: tuple[str, ...] = ()
    """The services whose number `auto` chose."""
    basis: Mapping[str, Any] = field(default_factory=dict)
    """What `auto` depends on apart from what it measures: cores, the limit, the operator's words."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """The size of a worker that was counted with."""
    worse: Mapping[str, int] = field(default_factory=dict)
    """Numbers that were measured and found worse than what was there before."""

    def plugin(self) -> PluginFile:
        """Write the plugin."""
        counts = {KINDS[name].setting: count for name, count in self.concurrency.items()}
        content = _TEMPLATE
        for mark, value in (("@RECORD@", asdict(self)), ("@CONCURRENCY@", counts)):
            content = content.replace(mark, pformat(value, sort_dicts=False, width=100))
        return PluginFile(PLUGIN, "py", content)


def read_record(source: str | None) -> Record:
    """Read what a plugin file records; it is parsed, never run."""
    try:
        for node in ast.parse(source or "").body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "RECORD":
                found = ast.literal_eval(node.value)
                return Record(**{**found, "auto": tuple(found["auto"])})
    except (SyntaxError, ValueError, TypeError, KeyError) as error:
        raise TutorError(
            f"The plugin {PLUGIN} was edited by hand and cannot be read any more ({type(error).__name__}); "
            f"remove its file with `rm $(tutor plugins printroot)/{PLUGIN}.py` and run this again."
        ) from error
    return Record()
