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
from site_stores import STORES, Store
from trafficlib.records import Records

PROJECT = SHARED.parent.parent
INVENTORY = SHARED / "inventory" / "hosts.yml"


@dataclass
class Site:
    """One lab, and a folder for what is written about it."""

    settings: Settings
    folder: Path

    @property
    def app(self) -> str:
        """Name of the app server's container."""
        return self.settings.app

    @property
    def stores(self) -> list[Store]:
        """The stores that are moved, in the order in which they are."""
        return [STORES[name] for name in self.settings.store_names]

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
            "TUTOROPS_LAB_STORES": self.settings.stores,
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

    def inside(
        self,
        host: str,
        *command: str,
        user: str = "root",
        check: bool = True,
        timeout: float = 600,
        stdin: str | None = None,
    ) -> str:
        """Run a command on a host."""
        done = subprocess.run(
            ["docker", "exec", "--interactive", "--user", user, host, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),  # type: ignore[arg-type]
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

    def pointer(self, store: str) -> str:
        """The end that the store's pointer names."""
        return self.inside(self.app, "cat", f"/var/lib/tutorops/pointers/{store}").split()[1]

    def status(self, store: str) -> dict[str, Any]:
        """Where a store stands."""
        return dict(json.loads(self.inside(self.app, "tutorops", "status", "--json"))[store])

    def flip_under_way(self, store: str) -> bool:
        """Whether a flip has begun and is not settled."""
        return bool(self.status(store)["flip_under_way"])

    def whole(self, store: Store) -> bool:
        """Whether every member of a cluster serves."""
        return all(store.serves(self, host) for host in self.settings.data)

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

    def writable_ends(self, store: Store) -> list[str]:
        """The ends that take writes now; a client would need only one of the members."""
        ends = ["local"] if store.local_writes(self) else []
        if any(store.member_writes(self, host) for host in self.settings.data):
            ends.append("cluster")
        return ends

    def only_writable(self, store: Store, end: str, seconds: float = 60.0) -> None:
        """Return once an end takes writes; until then it may be that none does, but never the other one."""

        def settled() -> bool:
            ends = self.writable_ends(store)
            assert ends in ([], [end]), f"{store.name}: {', '.join(ends)} take writes, and {end} serves"
            return bool(ends)

        wait_until(settled, f"the {end} end of {store.name} takes writes", seconds)

    def primary(self, store: Store) -> str:
        """Host of the cluster's primary; for a cluster that serves."""
        return next(host for host in self.settings.data if store.member_writes(self, host))

    def write(self, ledger: str) -> str:
        """One acknowledged write through the LMS; its key."""
        key = f"site-{time.monotonic_ns()}"
        self._ask(ledger, "POST", f"/ledger/{ledger}?key={key}")
        return key

    def finds(self, key: str, ledger: str) -> bool:
        """Whether the LMS finds a write."""
        return self._ask(ledger, "GET", f"/ledger/{ledger}/{key}", check=False) == "200"

    def courses_whole(self) -> bool:
        """Whether every published course has its structure."""
        return self._ask("course", "GET", "/courses/published?all", check=False) == "200"

    def _ask(self, ledger: str, method: str, path: str, check: bool = True) -> str:
        site = "notes.lms.test" if ledger == "notes" else platform.LMS
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
        """Every acknowledged write is there, once, and whole.

        The arguments name ledgers that do not count, or that may hold a write twice.
        """
        result = self.result
        print(json.dumps({**result["traffic"], **result["ledger"]}, default=str))
        assert result["ledger"]["acknowledged"] > 0
        for name, ledger in result["stores"].items():
            assert ledger["audit_error"] is None, ledger["audit_error"]
            flaws = (
                () if name in but else ("lost", "dangling") if name in but_twice else ("lost", "dangling", "duplicated")
            )
            assert not any(ledger[flaw] for flaw in flaws), f"{name}: {ledger}"
        return result

    def lost_only_around(self, ledgers: Collection[str], fault: float, seconds: float) -> None:
        """What these ledgers lost, or hold twice, was acknowledged at most so long before the fault, and not after."""
        result, requests = self.result, Records(self.folder).requests()
        ended = {one.key: one.ended for one in requests if one.action == "write" and one.succeeded}
        for name in ledgers:
            ledger = result["stores"][name]
            flawed = {*ledger["lost_keys"], *ledger["duplicated_keys"], *ledger["dangling_keys"]}
            moments = sorted(fault - (ended.get(key) or 0.0) for key in flawed)
            print(f"{name}: {len(flawed)} of {ledger['acknowledged']}, acknowledged {moments} s before the fault")
            assert all(-0.5 <= moment <= seconds for moment in moments), f"{name}: {moments}"

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
