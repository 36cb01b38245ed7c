# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures over real servers. Skipped only where docker or the lab's images are missing."""

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

from redis_site import LAB, Site  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """The lab's images of Redis and of the app server, which has HAProxy."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed here")
    for name in ("redis", "appserver"):
        if subprocess.run(["docker", "image", "inspect", f"{LAB}/{name}"], capture_output=True, check=False).returncode:
            pytest.skip(f"the image {LAB}/{name} is not here: build it by `molecule/shared/lab.py images`")


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
