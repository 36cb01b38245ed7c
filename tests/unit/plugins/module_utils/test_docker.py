# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read out of the docker command's answers, and what its failures are called."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.docker import Docker, DockerError


def container(name: str, running: bool = True, service: str = "mysql", **networks: str) -> dict[str, Any]:
    """As `docker inspect` prints one."""
    return {
        "Id": f"id-{name}",
        "Name": f"/{name}",
        "State": {"Running": running},
        "Config": {"Labels": {"com.docker.compose.service": service}},
        "NetworkSettings": {"Networks": {key: {"IPAddress": value} for key, value in networks.items()}},
    }


class Engine:
    """Answers as docker does, and keeps what it was asked."""

    def __init__(self, *found: dict[str, Any], networks: list[dict[str, Any]] | None = None) -> None:
        self.found = {each["Id"]: each for each in found}
        self.networks = networks or []
        self.asked: list[list[str]] = []
        self.given: list[str | None] = []

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.asked.append(command[1:])
        self.given.append(options.get("input"))
        if command[1] == "ps":
            out = "\n".join(self.found)
        elif command[1] == "inspect":
            out = json.dumps([self.found[identity] for identity in command[4:] if identity in self.found])
        elif command[1:3] == ["network", "ls"]:
            out = "\n".join(str(number) for number, _ in enumerate(self.networks))
        elif command[1:3] == ["network", "inspect"]:
            out = json.dumps(self.networks)
        else:
            out = "1\n"
        return subprocess.CompletedProcess(command, 0, out, "")


def test_the_address_is_that_of_the_running_container() -> None:
    engine = Engine(
        container("old", running=False, tutor_local_default="172.18.0.2"),
        container("new", tutor_local_default="172.18.0.9"),
    )
    assert Docker(run=engine).address("tutor_local", "mysql") == "172.18.0.9"
    assert "label=com.docker.compose.oneoff=False" in engine.asked[0]


def test_the_project_s_own_network_comes_first() -> None:
    engine = Engine(container("mysql", other="10.9.0.2", tutor_local_default="172.18.0.9"))
    assert Docker(run=engine).address("tutor_local", "mysql") == "172.18.0.9"


def test_another_network_counts_when_it_is_the_only_one() -> None:
    assert Docker(run=Engine(container("mysql", other="10.9.0.2"))).address("tutor_local", "mysql") == "10.9.0.2"
    both = Engine(container("mysql", other="10.9.0.2", third="10.8.0.2"))
    assert Docker(run=both).address("tutor_local", "mysql") is None


@pytest.mark.parametrize(
    "found",
    [
        [],
        [container("mysql", running=False, tutor_local_default="")],
        [container("mysql", tutor_local_default="")],
    ],
    ids=["none", "stopped", "without address yet"],
)
def test_there_may_be_no_address(found: list[dict[str, Any]]) -> None:
    assert Docker(run=Engine(*found)).address("tutor_local", "mysql") is None


def test_a_container_that_went_away_in_between_is_passed_over() -> None:
    engine = Engine(container("mysql", tutor_local_default="172.18.0.9"))

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        done = engine(command, **options)
        if command[1] == "ps":
            done.stdout += "\nid-gone\n"
        elif command[1] == "inspect":
            done.returncode, done.stderr = 1, "Error: No such container: id-gone"
        return done

    assert Docker(run=run).address("tutor_local", "mysql") == "172.18.0.9"


def test_networks_of_a_project() -> None:
    plans: list[dict[str, Any]] = [
        {"IPAM": {"Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]}},
        {"IPAM": {"Config": None}},
        {"IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}, {}]}},
    ]
    assert Docker(run=Engine(networks=plans)).subnets("tutor_local") == ["172.17.0.0/16", "172.18.0.0/16"]
    assert Docker(run=Engine()).subnets("tutor_local") == []


def test_what_is_given_to_a_command_is_not_in_its_arguments() -> None:
    engine = Engine()
    Docker(run=engine).execute("mysql-1", ["mysql", "--defaults-file=/dev/stdin"], given="password=secret")
    assert engine.given == ["password=secret"]
    assert engine.asked == [["exec", "--interactive", "mysql-1", "mysql", "--defaults-file=/dev/stdin"]]


def failing(problem: Exception | None = None, code: int = 0, out: str = "", err: str = "") -> Docker:
    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if problem is not None:
            raise problem
        return subprocess.CompletedProcess(command, code, out, err)

    return Docker(run=run)


@pytest.mark.parametrize(
    ("docker", "message"),
    [
        (failing(code=1, err="first\nCannot connect to the Docker daemon\n"), "docker ps failed .*Cannot connect"),
        (failing(code=1), "docker ps failed on the app server: it gave no reason"),
        (failing(subprocess.TimeoutExpired("docker", 10)), "docker ps did not answer within 10 s"),
        (failing(FileNotFoundError("docker")), "docker cannot be run on the app server"),
    ],
)
def test_failures_are_sentences(docker: Docker, message: str) -> None:
    with pytest.raises(DockerError, match=message):
        docker.containers("tutor_local")


def test_an_answer_that_is_not_json() -> None:
    with pytest.raises(DockerError, match="docker inspect answered what is not JSON"):
        failing(out="oops").containers("tutor_local")


def test_events_are_lines_until_closed() -> None:
    program = 'import sys, time; print(\'{"status": "start"}\', flush=True); time.sleep(60)'
    docker = Docker(command=[sys.executable, "-c", program])
    events = docker.events("tutor_local", ("start",))
    assert next(iter(events)) == {"status": "start"}
    events.close()
    assert events.stream.closed
