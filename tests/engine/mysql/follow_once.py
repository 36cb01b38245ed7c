# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the stage `follow` in a process of its own, which a test may kill; tells its progress line by line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import collection  # noqa: F401
from ansible_collections.tutorops.scale.plugins.module_utils.stores.mysql import MysqlStore
from relay import RelayDoor


def tell(phase: str, figures: dict[str, Any]) -> None:
    print(json.dumps({"phase": phase, **figures}), flush=True)


store = MysqlStore.from_settings(json.loads(Path(sys.argv[1]).read_text()), RelayDoor())
store.follow(tell)
