# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the follower does for Tutor's MongoDB between stages.

Its files are in its data directory as long as Tutor renders a command that wants them; and a container that was started
as a member of a set that nobody has begun yet, because whoever restarted it died, begins it.
"""

from __future__ import annotations

from pathlib import Path

from .edge import read_pointer
from .mongodb_local import KEYFILE, LocalNode
from .mongodb_node import UNINITIATED
from .mongodb_prepare import begin
from .mongodb_set import ReplicaSet
from .mongodb_settings import MongodbSettings
from .paths import PATHS, Paths
from .store_lock import locked
from .stores.base import LOCAL, StoreError, Tend

#: What Tutor renders of its services on one host.
_RENDERED = ("docker-compose.yml", "docker-compose.prod.yml", "docker-compose.override.yml")


def tender(settings: MongodbSettings, local: LocalNode, members: ReplicaSet, paths: Paths = PATHS) -> Tend:
    """The function that the follower calls; a look that finds all well changes nothing."""

    def tend(address: str, port: int) -> None:
        if read_pointer(paths.pointer("mongodb"), "mongodb") != LOCAL or not _wanted(settings.tutor_root):
            return
        with locked(paths.lock("mongodb"), "tutorops follower", 0.0):
            local.place_files()
            state = local.state()
            if state.state == UNINITIATED:
                begin(settings, local, members)
            elif not state.primary or not _may_lack(local, state.set_name == settings.set_name):
                return
            local.make_accounts()

    return tend


def _may_lack(local: LocalNode, ours: bool) -> bool:
    """Whether accounts may be missing; asked without logging in, which would be logged every few seconds."""
    return ours and not local.has_accounts()


def _wanted(root: Path) -> bool:
    """Whether the container is rendered as a member of a set, so that it needs its files to start."""
    for name in _RENDERED:
        path = root / "env" / "local" / name
        try:
            if KEYFILE in path.read_text(encoding="utf-8"):
                return True
        except FileNotFoundError:
            continue
        except OSError as problem:
            raise StoreError(f"{path} cannot be read on the app server: {problem}") from problem
    return False
