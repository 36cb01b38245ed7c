"""A lab seen as an operator's site: its playbooks, its hosts, and what its learners notice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import demo
from lablib import hosts, platform
from lablib.settings import SHARED, Settings

PROJECT = SHARED.parent.parent
INVENTORY = SHARED / "inventory" / "hosts.yml"
POINTER = "/var/lib/tutorops/pointers/mysql"


@dataclass
class Site:
    """One lab, and a folder for what is written about it."""

    settings: Settings
    folder: Path

    @property
    def app(self) -> str:
        """Name of the app server's container."""
        return self.settings.app

    # Operators

    def command(self, playbook: str, variables: Mapping[str, Any] | None = None, *options: str) -> list[str]:
        """The command line of a playbook, as the README gives it."""
        given = {"offload_report_dir": str(self.folder / "reports"), **(variables or {})}
        return [
            "ansible-playbook",
            "--inventory",
            str(INVENTORY),
            playbook,
            "--extra-vars",
            json.dumps(given),
            *options,
        ]

    def environment(self) -> dict[str, str]:
        """What a checkout's ansible-playbook needs."""
        return {
            **demo.environment(),
            "TUTOROPS_LAB_PREFIX": self.settings.prefix,
            "TUTOROPS_LAB_SUBNET": self.settings.subnet,
        }

    def start_playbook(self, playbook: str, variables: Mapping[str, Any] | None = None) -> subprocess.Popen[str]:
        """Start a playbook in a process group of its own, so that all of it can be killed."""
        return subprocess.Popen(
            self.command(playbook, variables),
            cwd=PROJECT / "playbooks",
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def playbook(
        self, playbook: str, variables: Mapping[str, Any] | None = None, *options: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook to its end."""
        done = subprocess.run(
            self.command(playbook, variables, *options),
            cwd=PROJECT / "playbooks",
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"{playbook}:\n{done.stdout[-6000:]}{done.stderr[-2000:]}"
        return done

    # Hosts

    def inside(self, host: str, *command: str, user: str = "root", check: bool = True, timeout: float = 600) -> str:
        """Run a command on a host."""
        done = subprocess.run(
            ["docker", "exec", "--user", user, host, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if check:
            assert done.returncode == 0, f"{' '.join(command)} on {host}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def tutor(self, *arguments: str, check: bool = True) -> str:
        """Run the tutor command as an operator does."""
        return self.inside(self.app, "bash", "-lc", " ".join(["tutor", *arguments]), user="tutor", check=check)

    def reboot(self) -> None:
        """Boot the app server anew."""
        subprocess.run(["docker", "restart", self.app], check=True, capture_output=True)
        self.wait_answers()

    def cut_power(self) -> None:
        """Stop the app server without a word."""
        subprocess.run(["docker", "kill", self.app], check=True, capture_output=True)

    def boot(self) -> None:
        """Start the app server after a power cut."""
        subprocess.run(["docker", "start", self.app], check=True, capture_output=True)

    def wait_answers(self) -> None:
        """Return once learners get answers."""
        hosts.wait_booted(self.app)
        platform.wait_answers(self.app)

    # What stands

    def pointer(self) -> str:
        """The end that the pointer names."""
        return self.inside(self.app, "cat", POINTER).split()[1]

    def status(self) -> dict[str, Any]:
        """Where MySQL stands."""
        return dict(json.loads(self.inside(self.app, "tutorops", "status", "--json"))["mysql"])

    def flip_under_way(self) -> bool:
        """Whether a flip has begun and is not settled."""
        return bool(self.status()["flip_under_way"])

    def members_online(self) -> int:
        """How many members serve in the group."""
        return sum(member["state"] == "ONLINE" for member in self.status()["members"])

    def containers(self) -> dict[str, str]:
        """Names and identities of the platform's containers that stay."""
        listed = self.inside(self.app, "docker", "ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}")
        return {
            name: identity
            for name, identity in (line.split() for line in listed.splitlines())
            if "-job-" not in name and "-permissions-" not in name
        }

    def member_sql(self, host: str, statement: str) -> list[str]:
        """Ask a member as its administrator; nothing when it does not answer."""
        return self.inside(
            host, "mysql", "-u", "tutorops_admin", "-N", "-B", "-e", statement, check=False, timeout=30
        ).splitlines()

    def source_sql(self, statement: str) -> list[str]:
        """Ask Tutor's own container as root."""
        password = self.tutor("config", "printvalue", "MYSQL_ROOT_PASSWORD").strip()
        script = 'MYSQL_PWD="$2" exec docker exec -e MYSQL_PWD tutor_local-mysql-1 mysql -uroot -N -B -e "$1"'
        return self.inside(
            self.app, "sh", "-c", script, "sh", statement, password, check=False, timeout=30
        ).splitlines()

    def writable_ends(self) -> list[str]:
        """The ends that take writes now; a client would need only one of the members."""
        ends = ["local"] if self.source_sql("SELECT @@super_read_only") == ["0"] else []
        if any(self.member_sql(host, "SELECT @@super_read_only") == ["0"] for host in self.settings.data):
            ends.append("cluster")
        return ends

    def primary(self) -> str:
        """Host of the group's primary."""
        statement = (
            "SELECT MEMBER_ROLE FROM performance_schema.replication_group_members WHERE MEMBER_ID = @@server_uuid"
        )
        return next(host for host in self.settings.data if self.member_sql(host, statement) == ["PRIMARY"])

    def write(self, store: str = "mysql") -> str:
        """One acknowledged write through the LMS; its key."""
        key = f"site-{time.monotonic_ns()}"
        self._ask(store, "POST", f"/ledger/{store}?key={key}")
        return key

    def finds(self, key: str, store: str = "mysql") -> bool:
        """Whether the LMS finds a write."""
        return self._ask(store, "GET", f"/ledger/{store}/{key}", check=False) == "200"

    def _ask(self, store: str, method: str, path: str, check: bool = True) -> str:
        site = "notes.lms.test" if store == "notes" else platform.LMS
        answer = subprocess.run(
            [
                "curl",
                "--silent",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
                "--max-time",
                "30",
                "--request",
                method,
                "--header",
                f"Host: {site}",
                f"http://{self.settings.address(self.app)}{path}",
            ],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        if check:
            assert answer in ("200", "201"), f"{method} {path} was answered {answer}"
        return answer

    # Learners

    def traffic(self, name: str) -> Traffic:
        """Learners, from now on."""
        return Traffic(self.folder / name, self.settings.address(self.app))


@dataclass
class Traffic:
    """A run of the traffic client."""

    folder: Path
    target: str

    def __enter__(self) -> Traffic:
        """Let them come."""
        self._call("start", f"--target={self.target}")
        return self

    def __exit__(self, *_details: object) -> None:
        """Send them away, and audit."""
        self._call("stop", check=False)

    @property
    def result(self) -> dict[str, Any]:
        """What they noticed."""
        return dict(json.loads((self.folder / "traffic.json").read_text(encoding="utf-8")))

    def nothing_lost(self, but: Collection[str] = (), but_twice: Collection[str] = ()) -> dict[str, Any]:
        """Every acknowledged write is there, once; the arguments name stores of which a write may be lost, or twice."""
        result = self.result
        print(json.dumps({**result["traffic"], **result["ledger"]}, default=str))
        assert result["ledger"]["acknowledged"] > 0
        for store, ledger in result["stores"].items():
            assert store in but or ledger["lost"] == 0, f"{store}: {ledger}"
            assert store in but_twice or ledger["duplicated"] == 0, f"{store}: {ledger}"
        return result

    def nothing_noticed(self) -> dict[str, Any]:
        """No request failed either."""
        result = self.nothing_lost()
        assert result["traffic"]["failed"] == 0, result["traffic"]
        return result

    def _call(self, *arguments: str, check: bool = True) -> None:
        command = [sys.executable, str(SHARED / "traffic.py"), *arguments, f"--output={self.folder}"]
        subprocess.run(command, check=check, capture_output=not check)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 120.0, pause: float = 0.5) -> None:
    """Ask until it holds."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(pause)
