# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures over real servers. Skipped only where docker or the lab's image of MongoDB is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from courses import fill
from engines import need_images
from servers import IMAGE, Site


@pytest.fixture(scope="session", autouse=True)
def image() -> None:
    """The lab's image of MongoDB."""
    need_images(IMAGE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A filled source and three empty members."""
    made = Site(tmp_path_factory.mktemp("site"))
    made.reachable()
    try:
        made.start()
        fill({"host": made.source_address})
        yield made
    finally:
        # For a look at what failed; the next run begins by removing them.
        if not os.environ.get("TUTOROPS_ENGINE_KEEP"):
            made.remove()
