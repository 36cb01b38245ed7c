# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real MySQL servers in containers of the lab's image: a source as Tutor starts it, and members as the role sets "
"them up."""

from __future__ import annotations

import os
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import engines
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_client import Connection
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_group import Group, Member
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_settings import MysqlSettings, accounts
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError
from engines import docker

IMAGE = os.environ.get("TUTOROPS_LAB_IMAGE_PREFIX", "tutorops-lab") + "/mysql"
#: Of another series, it lets the journey lead into the series of the members.
SOURCE_IMAGE = os.environ.get("TUTOROPS_ENGINE_SOURCE_IMAGE", IMAGE)
PREFIX = os.environ.get("TUTOROPS_ENGINE_PREFIX", "tutorops-engine")
SUBNET = os.environ.get("TUTOROPS_ENGINE_SUBNET", "172.29.40")
ROOT_PASSWORD = "root'pa\"ss\\word%s"
MEMBERS = ("one", "two", "three")

_MEMBER_CONFIG = """
[mysqld]
report_host = {address}
server_id = {number}
character_set_server = utf8mb4
collation_server = utf8mb4_unicode_ci
gtid_mode = ON
enforce_gtid_consistency = ON
relay_log = relay-bin
relay_log_recovery = ON
skip_replica_start = ON
super_read_only = ON
sql_generate_invisible_primary_key = ON
innodb_redo_log_capacity = 64M
ssl_ca = /tls/ca.pem
ssl_cert = /tls/{name}.crt
ssl_key = /tls/{name}.key
plugin_load_add = group_replication.so
plugin_load_add = mysql_clone.so
plugin_load_add = auth_socket.so
loose_group_replication_group_name = "{group}"
loose_group_replication_communication_stack = MYSQL
loose_group_replication_local_address = "{address}:3306"
loose_group_replication_group_seeds = "{seeds}"
loose_group_replication_bootstrap_group = OFF
loose_group_replication_start_on_boot = OFF
loose_group_replication_single_primary_mode = ON
loose_group_replication_ssl_mode = VERIFY_CA
loose_group_replication_recovery_use_ssl = ON
loose_group_replication_recovery_ssl_ca = /tls/ca.pem
loose_group_replication_recovery_ssl_verify_server_cert = ON
loose_group_replication_consistency = BEFORE_ON_PRIMARY_FAILOVER
loose_group_replication_member_expel_timeout = 0
loose_group_replication_unreachable_majority_timeout = 10
loose_group_replication_exit_state_action = OFFLINE_MODE
loose_group_replication_autorejoin_tries = 2016
loose_group_replication_message_cache_size = 134217728
loose_group_replication_transaction_size_limit = 2147483647
"""

await_true = partial(engines.await_true, errors=(StoreError, RuntimeError))


@dataclass
class Site:
    """A source and three members, with certificates, on a network of their own."""

    folder: Path
    group: str = field(default_factory=lambda: str(uuid.uuid4()))
    way: str = "auto"

    @property
    def source_address(self) -> str:
        return f"{SUBNET}.10"

    def member(self, name: str) -> Member:
        return Member(name, f"{SUBNET}.{11 + MEMBERS.index(name)}")

    def container(self, name: str) -> str:
        return f"{PREFIX}-{name}"

    def settings(self, **limits: float) -> dict[str, Any]:
        """What /etc/tutorops/stores/mysql.json would hold."""
        return {
            "edge_address": self.source_address,
            "compose_project": PREFIX,
            "source": {"service": "mysql", "port": 3306, "root_user": "root", "root_password": ROOT_PASSWORD},
            "source_address": self.source_address,
            "source_port": 3306,
            "databases": ["openedx"],
            "cluster": {
                "members": [{"name": name, "address": self.member(name).address, "port": 3306} for name in MEMBERS],
                "group_name": self.group,
                "admin_user": "tutorops_admin",
                "admin_password": "admin'secret%",
                "replication_user": "tutorops_repl",
                "replication_password": "replication-secret",
            },
            "tls": {
                "ca": str(self.folder / "ca.pem"),
                "source_certificate": str(self.folder / "source.crt"),
                "source_key": str(self.folder / "source.key"),
            },
            "copy": self.way,
            "state_directory": str(self.folder / "state"),
            "limits": {"gtid_watch_seconds": 1.0, **limits},
        }

    def start(self, members: tuple[str, ...] = MEMBERS) -> None:
        """Start everything, from nothing."""
        self.remove()
        docker("network", "create", "--subnet", f"{SUBNET}.0/24", self.container("net"))
        self._certificates()
        (self.folder / "state").mkdir(exist_ok=True)
        self.start_source()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(self.start_member, members))

    def start_source(self) -> None:
        """Start the source as Tutor's compose file does."""
        self._run(
            "source",
            self.source_address,
            "--label=com.docker.compose.service=mysql",
            f"--label=com.docker.compose.project={PREFIX}",
            "--label=com.docker.compose.oneoff=False",
            command=["mysqld", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_unicode_ci"],
        )
        await_true(lambda: self.root("source").value("SELECT 1"), "the source")

    def start_member(self, name: str) -> None:
        """Start an empty member with the accounts that the role makes."""
        config = self.folder / f"{name}.cnf"
        member = self.member(name)
        seeds = ",".join(f"{self.member(one).address}:3306" for one in MEMBERS)
        number = 100 + MEMBERS.index(name)
        config.write_text(
            _MEMBER_CONFIG.format(address=member.address, number=number, name=name, seeds=seeds, group=self.group)
        )
        config.chmod(0o644)
        # Initialise first: the plugins that the configuration loads do not belong into that.
        self._run(name, member.address, f"--volume={self.folder}:/tls:ro", "--env=MYSQLD_PARENT_PID=1")
        await_true(lambda: self.root(name).value("SELECT 1"), f"member {name}")
        docker("exec", self.container(name), "cp", f"/tls/{name}.cnf", "/etc/mysql/conf.d/zz-member.cnf")
        docker("restart", self.container(name))
        known = accounts(MysqlSettings.from_dict(self.settings()))
        await_true(lambda: self.root(name).value("SELECT @@group_replication_ssl_mode"), f"member {name} as a member")
        Group([member], self.group, known, lambda one: self.root(one.name)).prepare(member)
        # As in the role's file; not from the first boot on, when it would only look for a group in vain.
        self.root(name).execute("SET PERSIST group_replication_start_on_boot = ON")

    def root(self, name: str, timeout: float = 10) -> Connection:
        """A connection as root."""
        address = self.source_address if name == "source" else self.member(name).address
        return Connection(host=address, user="root", password=ROOT_PASSWORD, timeout=timeout)

    def app(self, name: str) -> Connection:
        """A connection as the platform."""
        address = self.source_address if name == "source" else self.member(name).address
        return Connection(host=address, user="openedx", password="app", timeout=10)

    def kill(self, name: str) -> None:
        """Kill -9 a server; docker starts it again."""
        pid = docker("inspect", "--format", "{{.State.Pid}}", self.container(name))
        subprocess.run(["kill", "-9", pid], check=True)

    def remove(self) -> None:
        """Remove everything of this site."""
        for name in ("source", *MEMBERS):
            subprocess.run(
                ["docker", "rm", "--force", "--volumes", self.container(name)], capture_output=True, check=False
            )
        subprocess.run(["docker", "network", "rm", self.container("net")], capture_output=True, check=False)

    def _run(self, name: str, address: str, *options: str, command: list[str] | None = None) -> None:
        docker(
            "run",
            "--detach",
            "--restart=always",
            f"--name={self.container(name)}",
            f"--network={self.container('net')}",
            f"--ip={address}",
            f"--env=MYSQL_ROOT_PASSWORD={ROOT_PASSWORD}",
            *options,
            SOURCE_IMAGE if name == "source" else IMAGE,
            *(command or ["mysqld"]),
        )

    def _certificates(self) -> None:
        def openssl(*words: str) -> None:
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
                "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
        for name in ("source", *MEMBERS):
            address = self.source_address if name == "source" else self.member(name).address
            (self.folder / f"{name}.ext").write_text(f"subjectAltName=IP:{address}\n")
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
            openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                    "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip
            (self.folder / f"{name}.key").chmod(0o644)
        self.folder.chmod(0o755)
