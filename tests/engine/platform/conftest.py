# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's stand-in platform with real stores, without an app server: as Tutor starts them, and as clusters are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(CHECKOUT / "molecule" / "shared"), str(Path(__file__).parent)]

from platform_world import PlatformWorld  # noqa: E402


@pytest.fixture(scope="module", params=["plain", "secured"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformWorld]:
    """A platform that answers: with stores that let everybody in, or with accounts, TLS and a replica set."""
    made = PlatformWorld(tmp_path_factory.mktemp("platform"), secured=request.param == "secured")
    try:
        made.start()
        yield made
    finally:
        made.stop()
