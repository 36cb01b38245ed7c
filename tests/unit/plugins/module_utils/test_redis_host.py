# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read on a member's host of its packages, server and Sentinel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.redis_host import MARK, Host, Question
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Unreachable

POLICY = (
    "redis-server:\n  Installed: {}\n  Candidate: 6:8.0.2-1\nredis-tools:\n  Installed: {}\n  Candidate: 6:8.0.2-1\n"
)
MADISON = " redis-server | 6:8.0.2-1 | https://packages.redis.io/deb\n redis-server | 6:7.4.7-1 | https://x\n"
UNIT = "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nExecMainStartTimestampMonotonic=0\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
        "proc/meminfo": "MemTotal:        4194304 kB\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def host(root: Path, units: dict[str, str] | None = None, installed: str = "(none)", **asked: Any) -> Host:
    def run(command: Sequence[str]) -> str:
        if command[0] == "systemctl":
            return (units or {}).get(command[2], "")
        policy = MADISON if "madison" in command else POLICY.format(installed, installed)
        return {"ip": "2: eth0 inet 10.0.0.11/24 brd 10.0.0.255", "apt-cache": policy}.get(command[0], "")

    def refuse(**_: Any) -> Any:
        raise Unreachable("nobody answers")

    return Host(Question("10.0.0.11", **asked), run, root, refuse)


def test_a_bare_host(root: Path) -> None:
    found = host(root, packages=("redis-tools", "nftables"), version="7.4").read()
    assert (found.distribution, found.version_installed, found.version_candidate) == ("debian 13", None, "6:7.4.7-1")
    assert found.packages_missing == ("redis-tools", "nftables")
    assert not found.service_settled and not found.sentinel_settled and not found.login and not found.configured


def test_a_member_that_does_not_answer(root: Path) -> None:
    (root / "etc/redis").mkdir()
    (root / "etc/redis/redis.conf").write_text(MARK)
    found = host(root, {"redis-server": UNIT}, "6:7.4.7-1", packages=("redis-tools",), admin_user="tutorops").read()
    assert found.packages_missing == () and found.configured and found.service_active and not found.login


@pytest.mark.parametrize("part", ["active\n", "enabled\n", "=no\n"])
@pytest.mark.parametrize("unit", ["redis-server", "redis-sentinel"])
def test_a_unit_is_settled_when_nothing_is_left_to_do(root: Path, unit: str, part: str) -> None:
    units = {"redis-server": UNIT, "redis-sentinel": UNIT}
    found = host(root, units).read()
    assert (found.service_settled, found.sentinel_settled) == (True, True)
    found = host(root, {**units, unit: UNIT.replace(part, "other\n", 1)}).read()
    assert (found.service_settled, found.sentinel_settled) == (unit != "redis-server", unit != "redis-sentinel")


def test_the_sentinels_users_are_watched(root: Path) -> None:
    (root / "sentinel.acl").write_text("user default off\n")
    found = host(root, {"redis-sentinel": UNIT}, sentinel_watched=("/sentinel.acl",)).read()
    assert found.sentinel_restart_needed and not found.restart_needed


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(Question("10.0.0.11", admin_password="secret"))
