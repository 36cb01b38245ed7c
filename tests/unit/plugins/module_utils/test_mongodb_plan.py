# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says of MongoDB, out of what a server answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.docker import DockerError
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_facts import Reader, SourceFacts, read_source
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_plan import PlanFacts, estimate, judge
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Finding, StoreError

GB = 1_000_000_000
SOURCE = SourceFacts(
    version="7.0.28", compatibility="7.0", engine="wiredTiger", arguments=["mongod", "--storageEngine", "wiredTiger"],
    asks_login=False, set_name="", sharded=False, databases={"openedx": 2 * GB, "cs_comments_service": 1_000_000},
    disk_bytes_free=60 * GB,
)  # fmt: skip
MEMBER = {"server_version": None, "version_installed": None, "version_candidate": "7.0.30", "set_name": None,
          "port_taken_by": None, "data_dir_bytes_free": 50 * GB}  # fmt: skip


def facts(source: SourceFacts = SOURCE, count: int = 3, **more: Any) -> PlanFacts:
    members = [{**MEMBER, "host": f"data{number}"} for number in range(1, count + 1)]
    given: dict[str, Any] = {"members": members, "set_name": "openedx", "app_password": "plain1", "keyfile": "a2V5b2Yg"}
    return PlanFacts(source, **{**given, **more})


def found(given: PlanFacts) -> dict[str, Finding]:
    return {one.id: one for one in judge(given)}


def test_a_usual_site_has_nothing_but_the_outlook() -> None:
    told = judge(facts(tutor_changes=["MONGODB_HOST"]))
    assert {one.id for one in told} == {"mongodb.restart", "mongodb.duration", "mongodb.tutor_keys"}
    assert not [one for one in told if one.severity != "info"]
    outlook = estimate(facts())
    assert (outlook.bytes, outlook.restart_seconds, outlook.way) == (2_001_000_000, 3.0, "initial sync")
    assert 100 < outlook.follow_seconds < 300


def test_what_was_attached_is_not_restarted_again() -> None:
    given = facts(attached=True, source=replace(SOURCE, set_name="openedx"))
    assert "mongodb.restart" not in found(given) and estimate(given).restart_seconds == 0


BLOCKERS: list[tuple[dict[str, Any], str, str]] = [
    ({"version": "4.4.22", "compatibility": "4.4"}, "mongodb.version.source", "older than 5.0"),
    ({"version": ""}, "mongodb.version.source", "unknown"),
    ({"sharded": True}, "mongodb.sharded", "router"),
    ({"set_name": "rs0"}, "mongodb.other_set", "member of the set rs0 already"),
    ({"asks_login": True}, "mongodb.login", "asks for a login"),
    ({"engine": "mmapv1"}, "mongodb.engine", "mmapv1"),
    ({"disk_bytes_free": GB}, "mongodb.log_space", "are free"),
]


@pytest.mark.parametrize(("wrong", "identity", "said"), BLOCKERS)
def test_sources_that_cannot_move_block(wrong: dict[str, Any], identity: str, said: str) -> None:
    one = found(facts(replace(SOURCE, **wrong)))[identity]
    assert one.blocks and said in one.message and one.cure


def test_another_series_cannot_join() -> None:
    given = facts()
    members = [{**given.members[0], "version_candidate": "8.0.4"}, {**given.members[1], "version_candidate": None},
               given.members[2]]  # fmt: skip
    told = found(replace(given, members=members))
    assert told["mongodb.series"].blocks and "which is 7.0" in told["mongodb.series"].message
    assert told["mongodb.version.unknown"].severity == "warning"


def test_a_server_that_keeps_to_older_features_is_told() -> None:
    assert found(facts(replace(SOURCE, compatibility="6.0")))["mongodb.compatibility"].severity == "warning"


@pytest.mark.parametrize("password", ["a b", "p@ss", "a/b", "a:b", "ä", "a%b"])
def test_a_password_that_breaks_addresses_blocks(password: str) -> None:
    one = found(facts(app_password=password))["mongodb.password"]
    assert one.blocks and password not in one.message + one.cure


@pytest.mark.parametrize("key", ["abc", "no-base64!", "a" * 1025])
def test_a_key_that_is_none_blocks(key: str) -> None:
    assert found(facts(keyfile=key))["mongodb.keyfile"].blocks


def test_a_key_may_have_line_ends() -> None:
    assert "mongodb.keyfile" not in found(facts(keyfile="a2V5\nb2Yg\n"))


@pytest.mark.parametrize(("count", "severity"), [(2, "blocker"), (4, "warning"), (6, "warning"), (7, "blocker")])
def test_the_number_of_members_matters(count: int, severity: str) -> None:
    assert found(facts(count=count))["mongodb.members.count"].severity == severity


def test_members_that_hold_something_block() -> None:
    given = facts()

    def with_first(**more: Any) -> dict[str, Finding]:
        return found(replace(given, members=[{**given.members[0], **more}, *given.members[1:]]))

    assert with_first(set_name="rs0")["mongodb.target_set"].blocks
    assert with_first(set_name="openedx")["mongodb.target_data"].blocks
    assert with_first(port_taken_by="nginx")["mongodb.port"].blocks
    assert with_first(data_dir_bytes_free=GB)["mongodb.space"].blocks
    again = replace(given, attached=True, members=[{**one, "set_name": "openedx"} for one in given.members])
    assert not [one for one in judge(again) if one.blocks]


def test_what_comes_along_is_told() -> None:
    source = replace(SOURCE, users=["admin.openedx", "admin.root"], arguments=["mongod", "--nojournal"],
                     databases={**SOURCE.databases, "own": 1})  # fmt: skip
    told = found(facts(source))
    assert told["mongodb.users"].severity == "warning" and "gets another password" in told["mongodb.users"].message
    assert told["mongodb.nojournal"].severity == "info"
    assert "own" in told["mongodb.databases"].message
    assert found(facts(replace(SOURCE, users=["admin.root"])))["mongodb.users"].severity == "info"


# Reading

ANSWERS: dict[str, Any] = {
    "buildInfo": {"version": "7.0.28"},
    "isMaster": {"ismaster": True},
    "getCmdLineOpts": {"argv": ["mongod", "--storageEngine", "wiredTiger"]},
    "getParameter": {"featureCompatibilityVersion": {"version": "7.0"}},
    "serverStatus": {"storageEngine": {"name": "wiredTiger"}},
    "listDatabases": {"databases": [{"name": "admin"}, {"name": "openedx"}, {"name": "local"}]},
    "usersInfo": {"users": [{"db": "admin", "user": "root"}]},
    "dbStats": {"dataSize": 5.0, "fsTotalSize": 100.0, "fsUsedSize": 40.0},
    "collStats": {"code": 26, "errmsg": "no such collection"},
}


class FakeDocker:
    """Runs the question in no container, but prints what one would."""

    def __init__(self, running: Sequence[str] = ("cms",), answers: dict[str, Any] | None = None) -> None:
        self.running = running
        self.answers = answers or ANSWERS
        self.asked: list[dict[str, Any]] = []
        self.printed: str | None = None

    def container(self, project: str, service: str) -> Any:
        return SimpleNamespace(name=f"{project}-{service}-1", running=True) if service in self.running else None

    def execute(self, container: str, command: Sequence[str], given: str = "", timeout: float | None = None) -> str:
        assert container == "tutor_local-cms-1" and command[:2] == ["python3", "-c"]
        compile(command[2], "script", "exec")
        asked = json.loads(given)
        self.asked.append(asked)
        answers = [self.answers[name] for _, name, _, _ in asked["commands"]]
        return self.printed if self.printed is not None else f"a warning\n{json.dumps(answers)}\n"


def read(docker: FakeDocker) -> SourceFacts:
    return read_source(Reader(docker, "tutor_local", "mongodb", 27017))  # type: ignore[arg-type]


def test_the_server_is_read_by_the_driver_in_the_platform() -> None:
    docker = FakeDocker()
    assert read(docker) == replace(
        SOURCE, databases={"openedx": 5}, users=["admin.root"], disk_bytes_free=60)  # fmt: skip
    assert (docker.asked[0]["host"], docker.asked[0]["port"]) == ("mongodb", 27017)


def test_a_server_that_asks_for_a_login_is_known() -> None:
    refused = {"code": 13, "errmsg": "command requires authentication"}
    answers = {**ANSWERS, "getCmdLineOpts": refused, "listDatabases": refused, "usersInfo": refused}
    assert read(FakeDocker(answers=answers)).asks_login


def test_without_a_container_that_could_ask_it_is_told() -> None:
    with pytest.raises(StoreError, match="no container of lms, cms or a worker runs"):
        read(FakeDocker(running=()))
    docker = FakeDocker()
    docker.printed = "Traceback"
    with pytest.raises(StoreError, match="gave an answer that is none"):
        read(docker)

    def fail(*given: Any, **more: Any) -> str:
        raise DockerError("docker exec failed on the app server: ServerSelectionTimeoutError")

    docker.execute = fail  # type: ignore[method-assign]
    with pytest.raises(StoreError, match="cannot be asked from within the platform"):
        read(docker)
