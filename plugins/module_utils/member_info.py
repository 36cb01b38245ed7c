# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that read a member, whatever its engine, do with their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .host_facts import Found, HostQuestion


def answer(module: Any, question: Callable[..., HostQuestion], host: Callable[..., Any]) -> None:
    """Read the host that a module's options describe, and end the module with what was found."""
    given = {name: value for name, value in module.params.items() if value is not None}
    asked = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    try:
        found: Found = host(question(**asked)).read()
    except OSError as error:
        module.fail_json(msg=f"the host cannot be read: {error}")
    module.exit_json(changed=False, member=found.as_dict())
