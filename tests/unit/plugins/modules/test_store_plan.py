# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils import mysql_facts
from ansible_collections.tutorops.scale.plugins.module_utils.docker import Container
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_facts import SourceFacts
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError
from ansible_collections.tutorops.scale.plugins.modules import store_plan

Run = Callable[..., dict[str, Any]]
FACTS = SourceFacts(
    version="8.4.11",
    variables={"log_bin": "ON", "binlog_format": "ROW", "binlog_row_image": "FULL"},
    databases={"openedx": "utf8mb4_unicode_ci"},
    bytes=1_000_000_000,
    keyless_tables=[],
    other_engines=[],
    accounts={},
    missing_definers=[],
    events=[],
    added_plugins=[],
    missing_privileges=[],
    clients=["openedx from 172.18.0.9"],
    replicas=[],
    known_accounts=[],
)
MEMBERS = [
    {"host": host, "version_candidate": "8.4.11", "data_dir_bytes_free": 10**12} for host in ("db1", "db2", "db3")
]


class FakeDocker:
    """The docker of the app server."""

    running = True

    def container(self, project: str, service: str) -> Container:
        return Container("1", f"{project}-{service}-1", service, self.running)

    def subnets(self, project: str) -> list[str]:
        return ["172.18.0.0/16"]


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(FakeDocker, "running", True)
    monkeypatch.setattr(store_plan, "Docker", FakeDocker)
    monkeypatch.setattr(mysql_facts, "read_source", lambda reader, ours: FACTS)
    cluster = {"admin_user": "tutorops_admin", "admin_password": "pass-two", "replication_user": "tutorops_repl"}
    source = {"service": "mysql", "port": 3306, "root_user": "root", "root_password": "pass-one"}
    return {
        "store": "mysql",
        "settings": {"compose_project": "tutor_local", "source": source, "cluster": cluster},
        "members": MEMBERS,
        "pointer": str(tmp_path / "mysql"),
    }


def test_it_tells_what_would_happen(run_module: Run, options: dict[str, Any]) -> None:
    answer = run_module("store_plan", check=True, **options, tutor={"changes": {"MYSQL_HOST": "10.0.0.10"}})
    assert answer["changed"] is False and answer["blocked"] is False
    assert [one["id"] for one in answer["findings"]] == ["mysql.tutor_keys", "mysql.duration"]
    assert answer["estimate"]["bytes"] == 1_000_000_000
    assert answer["estimate"]["way"] == "physical"


def test_the_way_of_copying_is_the_operators_choice(run_module: Run, options: dict[str, Any]) -> None:
    answer = run_module("store_plan", **{**options, "settings": {**options["settings"], "copy": "logical"}})
    assert answer["estimate"]["way"] == "logical"
    assert "mysql.copy" in [one["id"] for one in answer["findings"]]


def test_secrets_stay_hidden_and_other_words_do_not(run_module: Run, options: dict[str, Any]) -> None:
    answer = run_module("store_plan", **options)
    told = str(answer)
    assert "pass-one" not in told and "pass-two" not in told
    assert "mysql.duration" in told


def test_a_client_around_the_edge_is_told_once_attached(run_module: Run, options: dict[str, Any]) -> None:
    answer = run_module("store_plan", **options, attached=True)
    assert answer["blocked"] is False
    assert answer["findings"][0]["id"] == "mysql.bypass"


def test_a_wrong_root_password_is_a_finding(
    run_module: Run, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(reader: object, ours: object) -> None:
        raise StoreError("container x refused a query: ERROR 1045 (28000): Access denied for user 'root'@'localhost'")

    monkeypatch.setattr(mysql_facts, "read_source", refuse)
    answer = run_module("store_plan", **options)
    assert [one["id"] for one in answer["findings"]] == ["mysql.root_password"]
    assert answer["blocked"] is True and answer["estimate"] is None


def test_a_stopped_container_is_a_finding(
    run_module: Run, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeDocker, "running", False)
    answer = run_module("store_plan", **options)
    assert [one["id"] for one in answer["findings"]] == ["mysql.source"]


def test_after_the_cutover_nothing_blocks(run_module: Run, options: dict[str, Any]) -> None:
    Path(options["pointer"]).write_text("mysql cluster\n")
    answer = run_module("store_plan", **{**options, "members": []})
    assert [one["id"] for one in answer["findings"]] == ["mysql.moved"]
    assert answer["blocked"] is False
