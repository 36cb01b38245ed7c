# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading settings in force from Tutor with their types."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
from typing import Any

from .tutor_process import Result

_ANSWER = "tutorops-values:"

# Runs in Tutor's own interpreter: all values in one start, with their types, which `printvalue` does not keep.
READER = f"""
import json, sys
sys.path[:] = [entry for entry in sys.path if entry]
from tutor import config, hooks
import tutor.commands.cli
root, keys = sys.argv[1], sys.argv[2:]
hooks.Actions.CORE_READY.do()
hooks.Actions.PROJECT_ROOT_READY.do(root)
loaded = config.load_full(root)
found = dict((key, loaded[key]) for key in keys if key in loaded)
print()
print({_ANSWER!r} + json.dumps(found, default=str))
"""


def interpreter_of(binary: str) -> str | None:
    """Name the Python that a tutor script starts; None for a Tutor that is one big executable."""
    with open(binary, "rb") as stream:
        first = stream.readline(1024).decode("utf-8", "replace").strip()
    path = first.removeprefix("#!").strip()
    if first.startswith("#!") and "python" in os.path.basename(path) and os.access(path, os.X_OK):
        return path
    return None


def parse_answer(result: Result) -> dict[str, Any] | None:
    """Read what READER printed; None when it could not run in this Tutor."""
    if result.rc != 0:
        return None
    for line in result.stdout.splitlines():
        if line.startswith(_ANSWER):
            loaded: dict[str, Any] = json.loads(line[len(_ANSWER) :])
            return loaded
    return None


def from_printed(text: str) -> Any:
    """Give a value that `tutor config printvalue` printed its type back, as far as print-out allows."""
    printed = text.removesuffix("\n")
    if printed in ("true", "false"):
        return printed == "true"
    if printed == "null":
        return None
    if re.fullmatch(r"-?(0|[1-9][0-9]*)", printed):
        return int(printed)
    if printed[:1] in "[{" and printed:
        with contextlib.suppress(ValueError, SyntaxError):
            return ast.literal_eval(printed)
    return printed


def has_template(value: Any) -> bool:
    """Say whether Tutor would render this value rather than take it as it is."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value or "{#" in value
    if isinstance(value, dict):
        return any(map(has_template, value.values()))
    return isinstance(value, list) and any(map(has_template, value))
