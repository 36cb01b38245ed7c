# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read on a member's host, before and after the role was there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import MongodbError
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_host import MARK, Host, Question
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Unreachable

POLICY = "mongodb-org-server:\n  Installed: {}\n  Candidate: 7.0.30\n"


class Server:
    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.given: dict[str, Any] = {}

    def connect(self, address: str, port: int, **given: Any) -> Server:
        self.given = {"address": address, "port": port, **given}
        return self

    def command(self, name: str, *given: Any, **more: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *problem: object) -> None:
        """It was open."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
        "proc/meminfo": "MemTotal:        4194304 kB\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def commands(active: bool, installed: str = "(none)", listening: str = "") -> Any:
    def run(command: Sequence[str]) -> str:
        return {
            "ip": "2: eth0 inet 10.0.0.11/24 brd 10.0.0.255",
            "apt-cache": POLICY.format(installed),
            "systemctl": f"ActiveState={'active' if active else 'inactive'}\nExecMainStartTimestampMonotonic=0\n",
            "ss": listening,
        }[command[0]]

    return run


def test_a_bare_host(root: Path) -> None:
    found = Host(Question("10.0.0.11"), commands(False), root, Server().connect).read()  # type: ignore[arg-type]
    assert (found.distribution, found.address_present, found.version_candidate, found.version_installed) == (
        "debian 12", True, "7.0.30", None)  # fmt: skip
    assert found.data_dir_empty and not found.configured and not found.restart_needed
    assert (found.state, found.set_name, found.server_version, found.memory_bytes) == (None, None, None, 2**32)


def test_a_member(root: Path) -> None:
    for name, text in (("etc/mongod.conf", MARK), ("etc/mongodb/tls/ca.pem", "CA"), ("var/lib/mongodb/x.wt", "")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    server = Server(
        {"isWritablePrimary": False},
        {"set": "openedx", "members": [{"self": True, "stateStr": "SECONDARY"}]},
        {"version": "7.0.30"},
    )
    asked = Question("10.0.0.11", keyfile="a2V5", ca="/etc/mongodb/tls/ca.pem", watched=("/etc/mongod.conf",))
    found = Host(asked, commands(True, "7.0.30"), root, server.connect).read()  # type: ignore[arg-type]
    assert (found.state, found.set_name, found.server_version, found.configured) == (
        "SECONDARY", "openedx", "7.0.30", True)  # fmt: skip
    assert not found.data_dir_empty and found.restart_needed
    assert server.given["keyfile"] == "a2V5" and server.given["ca"] == str(root / "etc/mongodb/tls/ca.pem")
    assert "a2V5" not in repr(asked)


@pytest.mark.parametrize("problem", [Unreachable("it does not answer"), MongodbError("it refuses", 13)])
def test_a_server_that_cannot_be_asked_is_unknown(root: Path, problem: Exception) -> None:
    (root / "ca.pem").write_text("CA")
    asked = Question("10.0.0.11", keyfile="a2V5", ca="/ca.pem")
    found = Host(asked, commands(True), root, Server(problem).connect).read()  # type: ignore[arg-type]
    assert found.state is None and found.service_active


def test_a_port_that_another_process_has(root: Path) -> None:
    line = 'LISTEN 0 511 0.0.0.0:27017 0.0.0.0:* users:(("{}",pid=1,fd=6))'
    for name, told in (("nginx", "nginx"), ("mongod", None)):
        run = commands(False, listening=line.format(name))
        assert Host(Question("10.0.0.11"), run, root, Server().connect).read().port_taken_by == told  # type: ignore[arg-type]


def test_a_host_with_nothing_left_to_do(root: Path) -> None:
    def run(command: Sequence[str]) -> str:
        if command[0] == "systemctl":
            return "ActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\nExecMainStartTimestampMonotonic=0\n"
        return commands(True, "7.0.30")(command)  # type: ignore[no-any-return]

    asked = Question("10.0.0.11", packages=("mongodb-org-server", "nftables"))
    found = Host(asked, run, root, Server().connect).read()  # type: ignore[arg-type]
    assert found.service_settled and found.packages_missing == ("nftables",)
    bare = Host(asked, commands(False), root, Server().connect).read()  # type: ignore[arg-type]
    assert not bare.service_settled and bare.packages_missing == ("mongodb-org-server", "nftables")


def test_certificate_and_key_in_one_file(root: Path) -> None:
    asked = Question("10.0.0.11", pem="/member.pem", pem_parts=("/member.crt", "/member.key"))

    def is_settled() -> bool:
        return Host(asked, commands(False), root, Server().connect).read().pem_settled  # type: ignore[arg-type]

    assert not is_settled()
    for name, text in (("crt", "CERTIFICATE"), ("key", "KEY\n"), ("pem", "CERTIFICATE\nKEY\n")):
        (root / f"member.{name}").write_text(text)
        (root / f"member.{name}").chmod(0o600)
    assert is_settled()
    (root / "member.pem").chmod(0o644)
    assert not is_settled(), "others may read it"
    (root / "member.pem").chmod(0o600)
    (root / "member.key").write_text("ANOTHER KEY\n")
    assert not is_settled(), "the key is another"
