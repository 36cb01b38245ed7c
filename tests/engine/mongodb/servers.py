# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real MongoDB servers in containers of the lab's image: a source as Tutor starts it, and members as the role does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import engines
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import Client
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_platform import is_member
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_errors import TutorError

IMAGE = os.environ.get("TUTOROPS_LAB_IMAGE_PREFIX", "tutorops-lab") + "/mongodb"
PREFIX = os.environ.get("TUTOROPS_ENGINE_PREFIX", "tutorops-engine-mongodb")
SUBNET = os.environ.get("TUTOROPS_ENGINE_SUBNET", "172.29.42")
MEMBERS = ("one", "two", "three")
SET = "tutorops"
KEYFILE = "a2V5 b2Yg\ndGhlIHRlc3Q="
AS_FOUND = ("mongod", "--storageEngine", "wiredTiger")
_SMALL = ("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "200")
AS_MEMBER = (
    *AS_FOUND, "--replSet", SET, "--keyFile", "/data/db/tutorops.keyfile", "--transitionToAuth",
    "--tlsMode", "preferTLS", "--tlsCertificateKeyFile", "/data/db/tutorops.pem",
    "--tlsCAFile", "/data/db/tutorops-ca.pem", "--tlsAllowConnectionsWithoutCertificates",
)  # fmt: skip

docker = partial(engines.docker, error=TutorError)
await_true = partial(engines.await_true, errors=(StoreError,))


@dataclass
class Site:
    """A source and three members, with certificates, on a network of their own."""

    folder: Path
    rendered: Sequence[str] = AS_MEMBER
    recreations: int = field(default=0)

    @property
    def source_address(self) -> str:
        return f"{SUBNET}.10"

    def address(self, name: str) -> str:
        return self.source_address if name == "source" else f"{SUBNET}.{11 + MEMBERS.index(name)}"

    def container(self, name: str) -> str:
        return f"{PREFIX}-{name}"

    def settings(self, members: Sequence[str] = MEMBERS, **limits: float) -> dict[str, Any]:
        """What /etc/tutorops/stores/mongodb.json would hold."""
        return {
            "edge_address": self.source_address,
            "compose_project": PREFIX,
            "tutor_root": str(self.folder / "tutor"),
            "source": {"service": "mongodb", "port": 27017},
            "source_address": self.source_address,
            "source_port": 27017,
            "set_name": SET,
            "keyfile": KEYFILE,
            "cluster": {
                "members": [{"name": name, "address": self.address(name), "port": 27017} for name in members],
                "admin_user": "tutorops_admin",
                "admin_password": "admin's @/:secret%",
            },
            "application": {"user": "openedx", "password": "app", "databases": ["openedx", "cs_comments_service"]},
            "tls": {
                "ca": str(self.folder / "ca.pem"),
                "source_certificate": str(self.folder / "source.crt"),
                "source_key": str(self.folder / "source.key"),
            },
            "state_directory": str(self.folder / "state"),
            "limits": limits,
        }

    def reachable(self) -> None:
        """Let the servers' user into the folder, which pytest makes for us alone."""
        for folder in (self.folder, *self.folder.parents):
            if folder.owner() == Path.home().owner() and "pytest" in folder.name:
                folder.chmod(0o755)

    def finish_interrupted(self) -> None:
        """Compose, told to make the container anew, does it whatever becomes of whoever told it."""
        try:
            docker("inspect", self.container("source"))
        except TutorError:
            self.start_source(self.rendered)

    def start(self, members: Sequence[str] = MEMBERS) -> None:
        """Start everything, from nothing."""
        self.remove()
        self.recreations = 0
        docker("network", "create", "--subnet", f"{SUBNET}.0/24", f"--label=com.docker.compose.project={PREFIX}",
               self.container("net"))  # fmt: skip
        self._certificates()
        data = self.folder / "tutor" / "data" / "mongodb"
        data.mkdir(parents=True)
        os.chown(data, 999, 999)
        (self.folder / "state").mkdir(exist_ok=True)
        self.start_source(AS_FOUND)
        self._run("lms", f"{SUBNET}.20", "--label=com.docker.compose.service=lms", command=["sleep", "infinity"])
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(self.start_member, members))

    def start_source(self, command: Sequence[str]) -> None:
        """Start the source as Tutor's compose file does."""
        self._run(
            "source",
            self.source_address,
            "--label=com.docker.compose.service=mongodb",
            f"--label=com.docker.compose.project={PREFIX}",
            "--label=com.docker.compose.oneoff=False",
            f"--volume={self.folder}/tutor/data/mongodb:/data/db",
            "--user=999:999",
            command=[*command, *_SMALL],
        )
        if command == AS_FOUND:
            await_true(lambda: self.plain("source").command("ping"), "the source")

    def start_member(self, name: str) -> None:
        """Start an empty member as the role does."""
        self._run(
            name,
            self.address(name),
            f"--volume={self.folder}:/tls:ro",
            "--user=999:999",
            command=["mongod", *_SMALL, "--replSet", SET, "--keyFile", "/tls/keyfile", "--tlsMode", "preferTLS",
                     "--tlsCertificateKeyFile", f"/tls/{name}.pem", "--tlsCAFile", "/tls/ca.pem",
                     "--tlsAllowConnectionsWithoutCertificates"],
        )  # fmt: skip
        await_true(lambda: self.plain(name).command("hello"), f"member {name}")

    def plain(self, name: str) -> Client:
        """A way to a server without a login."""
        return Client(self.address(name))

    def inside(self, name: str, timeout: float = 5.0) -> Client:
        """A way to a member as its like."""
        return Client(self.address(name), keyfile=KEYFILE, ca=str(self.folder / "ca.pem"), timeout=timeout)

    def kill(self, name: str) -> None:
        """Kill -9 a server; docker starts it again."""
        pid = docker("inspect", "--format", "{{.State.Pid}}", self.container(name))
        subprocess.run(["kill", "-9", pid], check=True)

    def remove(self) -> None:
        """Remove everything of this site."""
        for name in ("source", "lms", *MEMBERS):
            subprocess.run(
                ["docker", "rm", "--force", "--volumes", self.container(name)], capture_output=True, check=False
            )
        subprocess.run(["docker", "network", "rm", self.container("net")], capture_output=True, check=False)

    # What the driver asks of the platform (mongodb_platform.Platform)

    def is_rendered(self) -> bool:
        return is_member(self.rendered, SET)

    def refuse_command(self) -> None:
        try:
            docker("run", "--rm", "--network", "none", "--entrypoint", "mongod", IMAGE, *self.rendered[1:],
                   "--outputConfig")  # fmt: skip
        except TutorError as problem:
            raise StoreError(f"MongoDB refuses the command: {problem}") from problem

    def running_command(self) -> Sequence[str]:
        return AS_FOUND

    def client(self) -> Any:
        return SimpleNamespace(
            name="lms", pid=int(docker("inspect", "--format", "{{.State.Pid}}", self.container("lms")))
        )

    def recreate(self, command: Sequence[str] | None = None) -> None:
        """As compose does: stop, remove, make, start."""
        self.recreations += 1
        docker("stop", self.container("source"))
        docker("rm", self.container("source"))
        self._run(
            "source",
            self.source_address,
            "--label=com.docker.compose.service=mongodb",
            f"--label=com.docker.compose.project={PREFIX}",
            "--label=com.docker.compose.oneoff=False",
            f"--volume={self.folder}/tutor/data/mongodb:/data/db",
            "--user=999:999",
            command=[*(command or self.rendered), *_SMALL],
        )

    def platform(self, _settings: Any) -> Any:
        """It, in the shape that the driver knows."""
        return SimpleNamespace(
            rendered=self.is_rendered,
            refuse_command=self.refuse_command,
            running_command=self.running_command,
            client=self.client,
            recreate=self.recreate,
        )

    def _run(self, name: str, address: str, *options: str, command: Sequence[str]) -> None:
        docker(
            "run",
            "--detach",
            "--restart=always",
            "--cpu-shares=64",
            f"--name={self.container(name)}",
            f"--network={self.container('net')}",
            f"--ip={address}",
            *options,
            IMAGE,
            *command,
        )

    def _certificates(self) -> None:
        def openssl(*words: str) -> None:
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
                "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
        for name in ("source", *MEMBERS):
            (self.folder / f"{name}.ext").write_text(f"subjectAltName=IP:{self.address(name)}\n")
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/O=tutorops/CN={name}",
                    "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
            openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                    "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip
            pem = self.folder / f"{name}.pem"
            pem.write_text((self.folder / f"{name}.crt").read_text() + (self.folder / f"{name}.key").read_text())
            os.chown(pem, 999, 999)
        keyfile = self.folder / "keyfile"
        keyfile.write_text(KEYFILE)
        keyfile.chmod(0o400)
        os.chown(keyfile, 999, 999)
        self.folder.chmod(0o755)
