# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether everything in one service's command is there, and how its container is made anew."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_platform import Platform, is_member
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_errors import TutorError

AS_FOUND = ["mongod", "--storageEngine", "wiredTiger"]
AS_MEMBER = [
    *AS_FOUND, "--replSet", "openedx", "--keyFile", "/data/db/tutorops.keyfile", "--transitionToAuth",
    "--tlsMode", "preferTLS", "--tlsCertificateKeyFile=/data/db/tutorops.pem", "--tlsCAFile",
    "/data/db/tutorops-ca.pem", "--tlsAllowConnectionsWithoutCertificates",
]  # fmt: skip
CALL = "docker compose -f /t/env/local/docker-compose.yml -f '/t/env/a b.yml' --project-name tutor_local"


class FakeTutor:
    """Prints what Tutor and docker print, and notes what it is asked for."""

    project_name = "tutor_local"

    def __init__(self, command: Any = None, version: str = "2.27.1", running: tuple[str, ...] = ("mongodb",)) -> None:
        self.service = {"image": "docker.io/mongo:7.0.28", "command": AS_MEMBER if command is None else command}
        self.version = version
        self.running = running
        self.asked: list[list[str]] = []
        self.refuses = ""

    def dc(self, *args: str, check: bool = True) -> Any:
        rendered = json.dumps({"services": {"mongodb": self.service}}, indent=2)
        text = f"a plugin's note\n{CALL} {' '.join(args)}\n{rendered}\nanother note\n"
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("docker compose -f ")]
        return SimpleNamespace(stdout=text, lines=lines)

    def docker(self, *args: str, check: bool = True) -> Any:
        self.asked.append(list(args))
        if self.refuses and self.refuses in args:
            raise TutorError(f"`docker {args[0]}` failed: Error parsing command line: unrecognised option")
        if args[:2] == ("compose", "version"):
            return SimpleNamespace(stdout=f"{self.version}\n")
        if args[0] == "ps":
            service = next(one.rpartition("=")[2] for one in args if "service=" in one)
            return SimpleNamespace(stdout=f"id-{service}\n" if service in self.running else "")
        if args[0] == "inspect":
            service = args[-1].removeprefix("id-")
            entry = {
                "Id": args[-1], "Name": f"/tutor_local-{service}-1", "Mounts": [],
                "Path": "docker-entrypoint.sh",
                "Args": AS_FOUND,
                "Config": {"Labels": {"com.docker.compose.service": service}},
                "State": {"Status": "running", "Pid": 4711, "StartedAt": "2026-01-01T00:00:00Z"},
            }  # fmt: skip
            return SimpleNamespace(stdout=json.dumps([entry]))
        return SimpleNamespace(stdout="")


def platform(tutor: FakeTutor, folder: Path) -> Platform:
    return Platform(tutor, "mongodb", "openedx", folder)  # type: ignore[arg-type]


def test_a_member_needs_set_key_certificate_and_patience_with_old_clients() -> None:
    assert is_member(AS_MEMBER, "openedx")
    assert not is_member(AS_FOUND, "openedx") and not is_member(AS_MEMBER, "other")
    for word in ("--transitionToAuth", "--tlsCAFile"):
        assert not is_member([one for one in AS_MEMBER if one != word], "openedx")
    assert not is_member([*AS_MEMBER, "--nojournal"], "openedx")


def test_what_is_rendered_is_read(tmp_path: Path) -> None:
    assert platform(FakeTutor(), tmp_path).rendered()
    assert not platform(FakeTutor(" ".join(AS_FOUND)), tmp_path).rendered()
    with pytest.raises(StoreError, match="rendered no service mongo: is RUN_MONGODB true"):
        Platform(FakeTutor(), "mongo", "openedx", tmp_path).rendered()  # type: ignore[arg-type]


def test_the_container_alone_is_made_anew_by_compose_itself(tmp_path: Path) -> None:
    tutor = FakeTutor()
    platform(tutor, tmp_path).recreate()
    words = ["compose", "-f", "/t/env/local/docker-compose.yml", "-f", "/t/env/a b.yml"]
    assert tutor.asked[-1] == [*words, "--project-name", "tutor_local", "up", "--detach", "--no-deps", "mongodb"]


def test_an_old_compose_has_to_see_dependencies_or_would_make_it_anew_again(tmp_path: Path) -> None:
    tutor = FakeTutor(version="v2.26.1-4")
    platform(tutor, tmp_path).recreate()
    assert tutor.asked[-1][-3:] == ["up", "--detach", "mongodb"]


def test_it_can_be_given_its_command_back(tmp_path: Path) -> None:
    tutor = FakeTutor()
    platform(tutor, tmp_path).recreate(AS_FOUND)
    override = Path(tutor.asked[-1][tutor.asked[-1].index("tutor_local") + 2])
    assert json.loads(override.read_text()) == {"services": {"mongodb": {"command": AS_FOUND}}}


def test_a_command_that_mongodb_refuses_is_known_before_the_restart(tmp_path: Path) -> None:
    tutor = FakeTutor()
    one = platform(tutor, tmp_path)
    one.refuse_command()
    assert tutor.asked[-1][:8] == ["run", "--rm", "--network", "none", "--entrypoint", "mongod",
                                   "docker.io/mongo:7.0.28", "--storageEngine"]  # fmt: skip
    tutor.refuses = "--outputConfig"
    with pytest.raises(StoreError, match=r"refuses the command that Tutor has rendered.*unrecognised option"):
        one.refuse_command()


def test_containers_are_found_or_their_absence_is_told(tmp_path: Path) -> None:
    one = platform(FakeTutor(running=("mongodb", "cms")), tmp_path)
    assert (one.process().pid, one.running_command()) == (4711, AS_FOUND)
    assert one.client().name == "tutor_local-cms-1"
    none = platform(FakeTutor(running=()), tmp_path)
    with pytest.raises(StoreError, match="start it by `tutor local start -d mongodb`"):
        none.process()
    with pytest.raises(StoreError, match="no container of lms, cms or a worker runs"):
        none.client()
