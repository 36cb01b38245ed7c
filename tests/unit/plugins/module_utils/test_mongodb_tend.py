# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the follower does for the container, and when it leaves it alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mongodb_tend
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_node import NodeState
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_tend import tender
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from ansible_collections.tutorops.scale.plugins.module_utils.store_lock import Locked, locked
from mongodb_site import settings
from mongodb_world import LOCAL_HOST


@dataclass
class Site:
    folder: Path
    state_now: str = "PRIMARY"
    set_name: str = "tutorops"
    accounts: bool = True
    log: list[str] = field(default_factory=list)

    @property
    def paths(self) -> Paths:
        return Paths(var=self.folder / "var", run=self.folder / "run")

    def state(self) -> NodeState:
        return NodeState(LOCAL_HOST, True, "", self.state_now, self.set_name, self.state_now == "PRIMARY", "7.0.28")

    def place_files(self) -> bool:
        self.log.append("files")
        return True

    def has_accounts(self) -> bool:
        return self.accounts

    def make_accounts(self) -> bool:
        self.log.append("accounts")
        return True

    def begin(self, *given: Any) -> None:
        self.log.append("begin")
        self.state_now = "PRIMARY"

    def tend(self) -> list[str]:
        self.log.clear()
        tender(settings(self.folder), self, self, self.paths)("172.18.0.5", 27017)  # type: ignore[arg-type]
        return self.log


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path)
    monkeypatch.setattr(mongodb_tend, "begin", made.begin)
    made.paths.pointer("mongodb").parent.mkdir(parents=True)
    made.paths.pointer("mongodb").write_text("mongodb local\n")
    rendered = tmp_path / "tutor" / "env" / "local"
    rendered.mkdir(parents=True)
    (rendered / "docker-compose.yml").write_text("mongod")
    (rendered / "docker-compose.prod.yml").write_text("mongod --keyFile /data/db/tutorops.keyfile")
    return made


def test_a_container_that_is_well_is_only_looked_at(site: Site) -> None:
    assert site.tend() == ["files"]


def test_a_set_that_nobody_began_is_begun(site: Site) -> None:
    site.state_now, site.set_name = "UNINITIATED", ""
    assert site.tend() == ["files", "begin", "accounts"]
    assert site.tend() == ["files"]


def test_accounts_that_are_missing_are_made(site: Site) -> None:
    site.accounts = False
    assert site.tend() == ["files", "accounts"]


@pytest.mark.parametrize("state", ["STANDALONE", "REMOVED", "SECONDARY", "STARTUP2"])
def test_other_states_are_no_business_of_the_follower(site: Site, state: str) -> None:
    site.state_now, site.accounts = state, False
    assert site.tend() == ["files"]


def test_another_set_is_left_alone(site: Site) -> None:
    site.set_name, site.accounts = "other", False
    assert site.tend() == ["files"]


def test_nothing_is_placed_where_nothing_asks_for_it(site: Site) -> None:
    (site.folder / "tutor" / "env" / "local" / "docker-compose.prod.yml").unlink()
    assert site.tend() == []


def test_a_cluster_that_serves_is_left_alone(site: Site) -> None:
    site.paths.pointer("mongodb").write_text("mongodb cluster\n")
    site.state_now = "UNINITIATED"
    assert site.tend() == []


def test_a_stage_that_runs_comes_first(site: Site) -> None:
    with locked(site.paths.lock("mongodb"), "tutorops stage mongodb prepare", 0.0), pytest.raises(Locked):
        site.tend()
    assert site.log == []
