# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures over real servers. Skipped only where docker or the lab's image of MongoDB is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def _find_collection() -> None:
    """Make `ansible_collections.tutorops.scale` mean this checkout, also beside an installed `ansible` package."""
    import ansible_collections  # type: ignore[import-untyped]

    folder = Path(__file__).resolve().parents[3] / ".ansible" / "collections" / "ansible_collections"
    if str(folder) not in ansible_collections.__path__:
        ansible_collections.__path__ = [str(folder), *ansible_collections.__path__]


_find_collection()

from courses import fill  # noqa: E402
from servers import IMAGE, Site  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def image() -> None:
    """The lab's image of MongoDB."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed here")
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        pytest.skip(f"the image {IMAGE} is not here: build it by `molecule/shared/lab.py images`")


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
