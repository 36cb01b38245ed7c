# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a host, from captured output of the commands that tell it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_host import Host, Question
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Unreachable

POLICY = """mysql-community-server:
  Installed: (none)
  Candidate: 8.4.7-1debian13
  Version table:
     8.4.7-1debian13 500
"""
LISTENS = 'LISTEN 0 70 *:3306 *:* users:(("{name}",pid=812,fd=23))\n'
ADDRESSES = "2: eth0    inet 10.0.0.11/24 brd 10.0.0.255 scope global eth0\n2: eth0    inet6 fd00::11/64 scope global\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="13"\n')
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:        8000000 kB\nMemFree: 1 kB\n")
    (tmp_path / "var/lib").mkdir(parents=True)
    return tmp_path


def host(root: Path, answers: dict[str, str] | None = None, **asked: Any) -> Host:
    """A host whose commands answer as given, by their first word."""
    given = {"apt-cache": POLICY, "ip": ADDRESSES, **(answers or {})}

    def run(command: Sequence[str]) -> str:
        return given.get(command[0], "")

    def refuse(**_: Any) -> Any:
        raise Unreachable("nobody answers")

    return Host(Question(address="10.0.0.11", **asked), run, root, refuse)


def active(started: float) -> str:
    monotonic = time.monotonic() - (time.time() - started)
    started_at = f"ExecMainStartTimestampMonotonic={int(monotonic * 1e6)}"
    return f"ActiveState=active\n{started_at}\nUnitFileState=enabled\nNeedDaemonReload=no\n"


def test_a_bare_host(root: Path) -> None:
    found = host(root).read()
    assert found.distribution == "debian 13"
    assert (found.version_installed, found.version_candidate) == (None, "8.4.7-1debian13")
    assert found.address_present
    assert not found.service_active and not found.restart_needed
    assert found.data_dir_empty and found.data_dir_bytes_free > 0
    assert found.memory_bytes == 8000000 * 1024
    assert found.port_taken_by is None
    assert found.group_state is None and found.login is None


def test_a_package_that_no_repository_has(root: Path) -> None:
    assert host(root, {"apt-cache": ""}).read().version_candidate is None


def test_ports_taken_by_others_and_by_ourselves(root: Path) -> None:
    assert host(root, {"ss": LISTENS.format(name="mariadbd")}).read().port_taken_by == "mariadbd"
    assert host(root, {"ss": LISTENS.format(name="mysqld")}).read().port_taken_by is None
    assert host(root, {"ss": "LISTEN 0 70 *:3306 *:*\n"}).read().port_taken_by == "another process"


def test_databases_are_found_without_a_login(root: Path) -> None:
    data = root / "var/lib/mysql"
    for name in ("mysql", "sys", "performance_schema", "#innodb_redo", "openedx", "my@002ddb"):
        (data / name).mkdir(parents=True)
    (data / "ibdata1").write_bytes(b"x" * 4096)
    found = host(root).read()
    assert found.user_schemas == ("my-db", "openedx")
    assert not found.data_dir_empty
    assert found.data_dir_bytes_used >= 4096


def test_a_disk_of_its_own_is_empty(root: Path) -> None:
    (root / "var/lib/mysql/lost+found").mkdir(parents=True)
    assert host(root).read().data_dir_empty


@pytest.mark.parametrize(("age", "wanted"), [(-60, True), (60, False)])
def test_a_restart_is_wanted_after_a_change(root: Path, age: float, wanted: bool) -> None:
    (root / "etc/my.cnf").write_text("[mysqld]\n")
    answers = {"systemctl": active(time.time() + age)}
    assert host(root, answers, watched=("/etc/my.cnf", "/etc/none")).read().restart_needed is wanted


def test_packages_that_are_missing(root: Path) -> None:
    there = "python3-pymysql:\n  Installed: 1.1.1-2\n  Candidate: 1.1.1-2\n"
    gone = "nftables:\n  Installed: (none)\n  Candidate: 1.1.3-1\n"
    asked = ("python3-pymysql", "nftables", "unheard-of")
    found = host(root, {"apt-cache": POLICY + there + gone}, packages=asked).read()
    assert found.packages_missing == ("nftables", "unheard-of")
    assert (found.version_installed, found.version_candidate) == (None, "8.4.7-1debian13")


@pytest.mark.parametrize(
    ("was", "turned", "settled"),
    [
        ("", "", True),
        ("ActiveState=active", "ActiveState=failed", False),
        ("UnitFileState=enabled", "UnitFileState=disabled", False),
        ("NeedDaemonReload=no", "NeedDaemonReload=yes", False),
    ],
)
def test_a_unit_is_settled_when_nothing_is_left_to_do(root: Path, was: str, turned: str, settled: bool) -> None:
    found = host(root, {"systemctl": active(time.time()).replace(was, turned)}).read()
    assert (found.service_settled, found.health_settled) == (settled, settled)


def test_a_bare_host_has_nothing_settled(root: Path) -> None:
    found = host(root).read()
    assert not found.service_settled and not found.health_settled and not found.health_user_exists


def test_a_user_that_is_there(root: Path) -> None:
    assert (
        host(root, {"getent": "tutorops_health:x:998:998::/nonexistent:/usr/sbin/nologin\n"}).read().health_user_exists
    )


@pytest.mark.parametrize(("age", "settled"), [(-60, False), (60, True)])
def test_the_health_endpoint_runs_the_program_that_is_there(root: Path, age: float, settled: bool) -> None:
    (root / "etc/program").write_text("")
    found = host(root, {"systemctl": active(time.time() + age)}, health_watched=("/etc/program",)).read()
    assert (found.service_settled, found.health_settled) == (True, settled)


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(Question(address="10.0.0.11", password="secret"))
