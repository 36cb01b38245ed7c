# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures over real servers. Skipped only where docker or the lab's image of MySQL is missing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import Connection
from ansible_collections.tutorops.scale.plugins.module_utils.stores.mysql import MysqlStore
from engines import need_images
from platform_data import fill
from relay import RelayDoor
from servers import IMAGE, Site


@pytest.fixture(scope="session", autouse=True)
def image() -> None:
    """The lab's image of MySQL."""
    need_images(IMAGE)


@pytest.fixture(scope="module")
def way() -> str:
    """How a site of a test module is copied."""
    return "auto"


@pytest.fixture(scope="module")
def rows() -> int:
    """How much there is to copy: the rows of the largest table."""
    return 4096


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, way: str, rows: int) -> Iterator[Site]:
    """A filled source and three empty members."""
    made = Site(tmp_path_factory.mktemp("site"), way=way)
    for folder in (made.folder, *made.folder.parents):
        if folder.owner() == Path.home().owner() and "pytest" in folder.name:
            folder.chmod(0o755)
    try:
        made.start()
        with made.root("source") as connection:
            fill(connection, rows)
        yield made
    finally:
        # For a look at what failed; the next run begins by removing them.
        if not os.environ.get("TUTOROPS_ENGINE_KEEP"):
            made.remove()


@pytest.fixture(scope="module")
def store(site: Site) -> MysqlStore:
    door = RelayDoor()
    made = MysqlStore.from_settings(site.settings(), door)
    door.local, door.cluster = made.local, made.cluster
    return made


@pytest.fixture(scope="module")
def door(store: MysqlStore) -> RelayDoor:
    assert isinstance(store.door, RelayDoor)
    return store.door


@pytest.fixture(autouse=True)
def fresh_entries(request: pytest.FixtureRequest) -> None:
    """Writers number their entries from one: begin each test with none."""
    if "door" in request.fixturenames:
        door = request.getfixturevalue("door")
        with Connection(host="127.0.0.1", port=door.port, user="openedx", password="app") as connection:
            connection.execute("DELETE FROM openedx.entries")
