# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container's files and accounts, and where it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.docker import DockerError
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import MongodbError
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_local import LocalNode
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_settings import MongodbSettings
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError, Unreachable
from mongodb_site import given_settings, settings


class FakeDocker:
    def __init__(self) -> None:
        self.now: str | None = "172.18.0.5"
        self.asked = 0
        self.problem = ""

    def address(self, project: str, service: str) -> str | None:
        self.asked += 1
        if self.problem:
            raise DockerError(self.problem)
        assert (project, service) == ("tutor_local", "mongodb")
        return self.now

    def subnets(self, project: str) -> list[str]:
        if self.problem:
            raise DockerError(self.problem)
        return ["172.18.0.0/16", "172.30.1.0/24"]


class Server:
    """A server's accounts, and who gets in."""

    def __init__(self) -> None:
        self.accounts: dict[str, dict[str, Any]] = {}
        self.connected: list[str] = []

    def connect(self, address: str, port: int, user: str = "", password: str = "", timeout: float = 5.0) -> Any:
        self.connected.append(address)
        return Session(self, user, password)


class Session:
    def __init__(self, server: Server, user: str, password: str) -> None:
        self.server, self.user, self.password = server, user, password

    def command(self, name: str, value: Any = 1, **options: Any) -> dict[str, Any]:
        known = self.server.accounts
        if name == "ping":
            if self.user and known.get(self.user, {}).get("pwd") != self.password:
                raise MongodbError("Authentication failed.", 18)
            return {}
        if name == "usersInfo":
            listed = [{"user": one, "db": "admin", "roles": had["roles"]} for one, had in known.items()]
            return {"users": [one for one in listed if "user" not in value or one["user"] == value["user"]]}
        if name == "createUser":
            known[value] = {"pwd": options["pwd"], "roles": options["roles"]}
        elif name == "updateUser":
            known[value]["pwd"] = options["pwd"]
        elif name == "grantRolesToUser":
            known[value]["roles"] = known[value]["roles"] + options["roles"]
        elif name == "dropUser":
            del known[value]
        return {}

    def close(self) -> None:
        """Nothing stays open."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *problem: object) -> None:
        """Nothing stays open."""


def node(tmp_path: Path, docker: FakeDocker | None = None, server: Server | None = None, **more: Any) -> LocalNode:
    return LocalNode(settings(tmp_path), docker or FakeDocker(), (server or Server()).connect, **more)  # type: ignore[arg-type]


def test_files_are_the_owners_alone_and_placed_once(tmp_path: Path) -> None:
    one = node(tmp_path)
    assert one.place_files()
    assert not one.place_files()
    data = tmp_path / "tutor" / "data" / "mongodb"
    found = {path.name: path.read_text() for path in data.iterdir()}
    assert found == {
        "tutorops.keyfile": "a2V5b2Yg\n",
        "tutorops.pem": "CERTIFICATE\nKEY\n",
        "tutorops-ca.pem": "AUTHORITY\n",
    }
    for path in data.iterdir():
        assert path.stat().st_mode & 0o777 == 0o400 and path.stat().st_uid == data.stat().st_uid


@pytest.mark.parametrize("harm", ["content", "mode"])
def test_a_file_that_was_changed_is_put_right(tmp_path: Path, harm: str) -> None:
    one = node(tmp_path)
    one.place_files()
    path = tmp_path / "tutor" / "data" / "mongodb" / "tutorops.keyfile"
    path.chmod(0o644)
    if harm == "content":
        path.write_text("another")
        path.chmod(0o400)
    assert one.place_files() and path.stat().st_mode & 0o777 == 0o400 and path.read_text() == "a2V5b2Yg\n"


def test_files_go(tmp_path: Path) -> None:
    one = node(tmp_path)
    one.place_files()
    assert one.remove_files() and not one.remove_files()
    assert os.listdir(tmp_path / "tutor" / "data" / "mongodb") == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    one = node(tmp_path)
    (tmp_path / "tutor" / "data" / "mongodb").rmdir()
    with pytest.raises(StoreError, match="correct tutor_root"):
        one.place_files()


def test_a_certificate_that_is_not_there_is_told(tmp_path: Path) -> None:
    one = node(tmp_path)
    (tmp_path / "source.crt").unlink()
    with pytest.raises(StoreError, match="certificate of the MongoDB container cannot be read.*run offload.yml"):
        one.place_files()


def test_accounts_are_made_once_with_no_more_than_they_need(tmp_path: Path) -> None:
    server = Server()
    one = node(tmp_path, server=server)
    assert not one.has_accounts()
    assert one.make_accounts() and one.has_accounts()
    assert not one.make_accounts()
    assert server.accounts["openedx"]["roles"] == [
        {"role": "readWrite", "db": "openedx"}, {"role": "readWrite", "db": "cs_comments_service"}]  # fmt: skip
    assert server.accounts["tutorops_admin"]["roles"] == [{"role": "root", "db": "admin"}]


def test_an_account_that_exists_gets_our_password_and_keeps_its_roles(tmp_path: Path) -> None:
    server = Server()
    server.accounts["openedx"] = {"pwd": "old", "roles": [{"role": "read", "db": "other"}]}
    one = node(tmp_path, server=server)
    assert one.make_accounts()
    assert server.accounts["openedx"]["pwd"] == "app-secret"
    assert {"role": "read", "db": "other"} in server.accounts["openedx"]["roles"]
    assert not one.make_accounts()


def test_accounts_go(tmp_path: Path) -> None:
    server = Server()
    one = node(tmp_path, server=server)
    one.make_accounts()
    server.accounts["somebody"] = {"pwd": "x", "roles": []}
    assert one.drop_accounts() and not one.drop_accounts()
    assert list(server.accounts) == ["somebody"]


def test_a_container_that_was_made_anew_is_found_at_its_new_address(tmp_path: Path) -> None:
    docker, server, now = FakeDocker(), Server(), [0.0]
    one = node(tmp_path, docker, server, clock=lambda: now[0])
    one.client()
    one.client()
    assert docker.asked == 1
    docker.now, now[0] = "172.18.0.9", 10.0
    one.client()
    assert server.connected == ["172.18.0.5", "172.18.0.9"]


def test_a_container_that_does_not_run_is_told(tmp_path: Path) -> None:
    docker = FakeDocker()
    docker.now = None
    one = node(tmp_path, docker)
    with pytest.raises(Unreachable, match="start it by `tutor local start -d mongodb`"):
        one.client()
    docker.problem = "docker did not answer"
    assert "docker did not answer" in one.state().error
    with pytest.raises(Unreachable, match="docker did not answer"):
        one.networks()


def test_the_edge_is_seen_as_each_networks_gateway(tmp_path: Path) -> None:
    assert node(tmp_path).gateways() == ["172.18.0.1", "172.30.1.1"]


def test_settings_name_what_they_lack_and_hide_secrets(tmp_path: Path) -> None:
    given = given_settings(tmp_path)
    found = MongodbSettings.from_dict({**given, "limits": {"lag_seconds": 5, "hold_seconds": 1}})
    assert (found.local_host, found.limits.lag_seconds, found.limits.elect_seconds) == ("10.0.0.1:27117", 5.0, 5.0)
    assert not [secret for secret in ("a2V5", "admin-secret", "app-secret") if secret in repr(found)]
    del given["keyfile"]
    with pytest.raises(StoreError, match="lack 'keyfile': run offload.yml"):
        MongodbSettings.from_dict(given)
