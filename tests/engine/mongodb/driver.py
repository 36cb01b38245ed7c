# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage in a process of its own, which kills itself when it tells a certain step: `driver.py FOLDER STAGE STEP`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import collection  # noqa: F401
from ansible_collections.tutorops.scale.plugins.module_utils.cutover import Limits
from opened import open_store
from platform_double import FileDoor
from servers import Site


def main(folder: str, stage: str, step: str) -> None:
    """Run the stage until the step."""
    site = Site(Path(folder))
    store = open_store(site, FileDoor(site.folder))

    def die(said: str) -> None:
        if said == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def progress(phase: str, figures: dict[str, Any]) -> None:
        die(phase)
        die(str(figures.get("step", "")))

    if stage == "prepare":
        store.prepare(progress)
    else:
        store.move(stage.removeprefix("move-"), Limits(), die)


main(*sys.argv[1:])
