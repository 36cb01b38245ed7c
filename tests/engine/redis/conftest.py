# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures over real servers. Skipped only where docker or the lab's images are missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from engines import need_images
from redis_site import LAB, Site


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """The lab's images of Redis and of the app server, which has HAProxy."""
    need_images(f"{LAB}/redis", f"{LAB}/appserver")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A source, three empty members and an edge."""
    # Short, because the path of a socket is.
    made = Site(tmp_path_factory.mktemp("r"))
    for folder in (made.folder, *made.folder.parents):
        if folder.owner() == Path.home().owner() and "pytest" in folder.name:
            folder.chmod(0o755)
    try:
        made.start()
        yield made
    finally:
        # For a look at what failed; the next run begins by removing them.
        made.unfollow()
        if not os.environ.get("TUTOROPS_ENGINE_KEEP"):
            made.remove()
