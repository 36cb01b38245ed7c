# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Redis servers in containers of the lab's image: a source as Tutor starts it, members with Sentinels as the role
sets them up, and a real HAProxy as the edge in front of both."""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.docker import Docker
from ansible_collections.tutorops.scale.plugins.module_utils.door import StoreDoor
from ansible_collections.tutorops.scale.plugins.module_utils.edge import Edge, EdgeSettings
from ansible_collections.tutorops.scale.plugins.module_utils.follower import Follower
from ansible_collections.tutorops.scale.plugins.module_utils.paths import Paths
from ansible_collections.tutorops.scale.plugins.module_utils.redis_client import Connection
from ansible_collections.tutorops.scale.plugins.module_utils.redis_settings import RedisSettings
from ansible_collections.tutorops.scale.plugins.module_utils.redis_source import user_rules
from ansible_collections.tutorops.scale.plugins.module_utils.redis_tend import prober, tender
from ansible_collections.tutorops.scale.plugins.module_utils.store_lock import Locked
from engines import await_true, docker

LAB = os.environ.get("TUTOROPS_LAB_IMAGE_PREFIX", "tutorops-lab")
PREFIX = os.environ.get("TUTOROPS_ENGINE_PREFIX", "tutorops-engine") + "-redis"
SUBNET = os.environ.get("TUTOROPS_ENGINE_REDIS_SUBNET", "172.29.41")
MEMBERS = ("one", "two", "three")
EDGE = f"{SUBNET}.1"

_SOURCE = """
port 6379
dir /openedx/redis/data/
appendonly yes
appendfsync everysec
save 900 1
maxmemory 256mb
maxmemory-policy allkeys-lru
"""
_MEMBER = """
port 0
tls-port 6379
bind 0.0.0.0
dir /data
logfile /data/redis.log
tls-ca-cert-file /site/ca.pem
tls-cert-file /site/{name}.crt
tls-key-file /site/{name}.key
tls-auth-clients optional
tls-replication yes
appendonly yes
maxmemory 256mb
maxmemory-policy volatile-lru
repl-backlog-size 64mb
repl-diskless-sync-delay 0
replica-announce-ip {address}
masteruser tutorops_repl
masterauth repl-secret
min-replicas-max-lag 10
min-replicas-to-write 99
replicaof 127.0.0.1 1
aclfile /data/users.acl
"""
_SENTINEL = """
port 0
tls-port 26379
bind 0.0.0.0
dir /data
logfile /data/sentinel.log
tls-ca-cert-file /site/ca.pem
tls-cert-file /site/{name}.crt
tls-key-file /site/{name}.key
tls-auth-clients optional
tls-replication yes
sentinel announce-ip {address}
sentinel announce-port 26379
sentinel sentinel-user tutorops_sentinel
sentinel sentinel-pass sentinel-secret
user default off
user tutorops on >admin-secret ~* &* +@all
user tutorops_sentinel on >sentinel-secret ~* &* +@all
"""
_WATCHING = "+multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info"
_WATCHING += " +client|setname +client|kill +script|kill"
_USERS = """
user default off
user openedx on >appsecret ~* &* +@all -@admin
user tutorops on >admin-secret ~* &* +@all
user tutorops_repl on >repl-secret +psync +replconf +ping
user tutorops_sentinel on >sentinel-secret &__sentinel__:hello {watching}
user tutorops_health on nopass +ping +info
"""
_CHECKED = "check inter 500ms fastinter 300ms downinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions"
_EDGE = """
global
    stats socket {folder}/run/edge.sock mode 600 level admin expose-fd listeners
defaults
    mode tcp
    option clitcpka
    option srvtcpka
    option redispatch 1
    retries 100
    timeout connect 2s
    timeout check 2s
    timeout client 7d
    timeout server 7d
frontend redis
    bind {edge}:6379
    maxconn 2000
    tcp-request connection reject unless {{ src -f {folder}/var/edge.clients }}
    use_backend redis_%[str(redis),map({folder}/var/pointers/redis,none)]
backend redis_local
    # A container that just started is closed until the follower opens it, and clients wait until then.
    option tcp-check
    tcp-check send "AUTH tutorops_health tutorops_health\\r\\n"
    # Before the container is prepared it does not know the user, and answers anybody.
    tcp-check expect rstring ^(.OK|-)
    tcp-check send "INFO replication\\r\\n"
    tcp-check expect string role:master
    server local 127.0.0.1:1 check inter 250ms fall 1 rise 1 observe layer4 error-limit 1 on-error mark-down
    server waiting 127.0.0.1:1 backup
backend redis_cluster
    option tcp-check
    tcp-check connect ssl
    tcp-check send "AUTH tutorops_health tutorops_health\\r\\n"
    tcp-check expect string +OK
    tcp-check send "INFO replication\\r\\n"
    tcp-check expect rstring role:master[^$]*min_slaves_good_slaves:[1-9]
    default-server ssl verify required ca-file {folder}/ca.pem {checked}
{servers}
    server waiting 127.0.0.1:1 backup no-check no-ssl
frontend redis_source
    bind {edge}:16379 ssl crt {folder}/source.pem ca-file {folder}/ca.pem verify required
    default_backend redis_source
backend redis_source
    server local 127.0.0.1:1
frontend redis_way_back
    bind {edge}:16380
    default_backend redis_way_back
backend redis_way_back
    # Redis 8 copies over two connections, and both have to reach the same member.
    balance first
    option tcp-check
    tcp-check connect ssl
    tcp-check send "AUTH tutorops_health tutorops_health\\r\\n"
    tcp-check expect string +OK
    tcp-check send "INFO replication\\r\\n"
    tcp-check expect rstring role:slave[^$]*master_link_status:up
    default-server ssl verify required ca-file {folder}/ca.pem {checked}
{servers}
"""


class Site:
    """A source, three members with Sentinels, and the edge, on a network of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = Paths(folder / "etc", folder / "var", folder / "run")
        self.edge = Edge(self.paths.socket)
        self._stop = threading.Event()
        self._following: threading.Thread | None = None
        self.said: list[str] = []

    # What there is

    def container(self, name: str) -> str:
        return f"{PREFIX}-{name}"

    def address(self, name: str) -> str:
        return f"{SUBNET}.10" if name == "source" else f"{SUBNET}.{11 + MEMBERS.index(name)}"

    def settings(self, **limits: float) -> dict[str, Any]:
        """What /etc/tutorops/stores/redis.json would hold."""
        return {
            "edge_address": EDGE,
            "compose_project": PREFIX,
            "tutor_root": str(self.folder / "root"),
            "source": {"service": "redis", "port": 6379},
            "source_address": EDGE,
            "source_port": 16379,
            "way_back_port": 16380,
            "cluster": {
                "members": [{"name": name, "address": self.address(name), "port": 6379} for name in MEMBERS],
                "sentinel_port": 26379,
                "sentinel_name": "openedx",
                "admin_user": "tutorops",
                "admin_password": "admin-secret",
                "replication_user": "tutorops_repl",
                "replication_password": "repl-secret",
                "sentinel_user": "tutorops_sentinel",
                "sentinel_password": "sentinel-secret",
            },
            "application": {"user": "openedx", "password": "appsecret"},
            "tls": {"ca": str(self.folder / "ca.pem")},
            "state_directory": str(self.paths.var / "redis"),
            "limits": limits,
        }

    def edge_settings(self) -> EdgeSettings:
        members = [{"name": name, "address": self.address(name), "port": 6379} for name in MEMBERS]
        one = {"port": 6379, "service": "redis", "service_port": 6379, "source_port": 16379, "members": members}
        # This machine's own address on the network may be another one than it seems.
        everybody = {"client_networks": ["0.0.0.0/0"]}
        return EdgeSettings.from_dict(
            {"address": EDGE, "compose_project": PREFIX, "stores": {"redis": one}, **everybody}
        )

    def door(self) -> StoreDoor:
        return StoreDoor(self.edge_settings().store("redis"), self.edge, self.paths.pointer("redis"))

    def admin(self, name: str, database: int = 0, timeout: float = 5.0) -> Connection:
        """A connection as our administrator, past the edge."""
        ca = None if name == "source" else str(self.folder / "ca.pem")
        return Connection(self.address(name), 6379, "tutorops", "admin-secret", ca, timeout, database)

    def platform(self, database: int = 0, timeout: float = 20.0) -> Connection:
        """A connection as the platform, by the edge."""
        return Connection(EDGE, 6379, "openedx", "appsecret", None, timeout, database)

    # Starting

    def start(self) -> None:
        """Start everything, from nothing."""
        self.remove()
        docker("network", "create", f"--label=com.docker.compose.project={PREFIX}", "--subnet", f"{SUBNET}.0/24",
               self.container("net"))  # fmt: skip
        for folder in (self.paths.etc, self.paths.run, self.paths.pointer("redis").parent, self.paths.var / "redis"):
            folder.mkdir(parents=True, exist_ok=True)
        self.paths.pointer("redis").write_text("redis local\n")
        self.paths.clients.write_text("0.0.0.0/0\n")
        self._certificates()
        self.start_source()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(self.start_member, MEMBERS))
        self._start_edge()
        self.follow()
        await_true(lambda: Connection(EDGE).call("PING"), "the source by the edge")

    def boot_file(self, closed: bool) -> None:
        """What Tutor renders, without and with the plugin's patch; in place, as Tutor does."""
        text = _SOURCE
        if closed:
            for name, rules in user_rules(RedisSettings.from_dict(self.settings())).items():
                words = ["off" if word == "on" and name == "openedx" else word for word in rules]
                text += f"user {name} {' '.join(words)}\n"
            text += "repl-backlog-size 64mb\nreplica-priority 0\nreplicaof 127.0.0.1 1\n"
        path = self.folder / "root" / "env" / "apps" / "redis" / "redis.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)

    def start_source(self) -> None:
        """Start the source as Tutor's compose file does."""
        self.boot_file(closed=False)
        data = self.folder / "root" / "data" / "redis"
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(0o777)
        config = self.folder / "root" / "env" / "apps" / "redis" / "redis.conf"
        labels = {"service": "redis", "project": PREFIX, "oneoff": "False"}
        docker("run", "--detach", "--restart=unless-stopped", "--user=1000:1000", "--cpu-shares=64",
               f"--name={self.container('source')}", f"--network={self.container('net')}",
               f"--ip={self.address('source')}",
               *(f"--label=com.docker.compose.{key}={value}" for key, value in labels.items()),
               f"--volume={config}:/openedx/redis/config/redis.conf:ro", f"--volume={data}:/openedx/redis/data",
               f"{LAB}/redis", "redis-server", "/openedx/redis/config/redis.conf")  # fmt: skip
        await_true(lambda: Connection(self.address("source")).call("PING"), "the source")

    def start_member(self, name: str) -> None:
        """Start an empty member and its Sentinel, as the role's bootstrap `seed` leaves them."""
        docker("run", "--detach", "--init", "--cpu-shares=64", f"--name={self.container(name)}",
               f"--network={self.container('net')}", f"--ip={self.address(name)}", "--tmpfs=/data",
               f"--volume={self.folder}:/site:ro", f"{LAB}/redis", "sleep", "infinity")  # fmt: skip
        for file, text in (("redis.conf", _MEMBER), ("sentinel.conf", _SENTINEL), ("users.acl", _USERS)):
            path = self.folder / f"{name}.{file}"
            path.write_text(text.format(name=name, address=self.address(name), watching=_WATCHING))
            path.chmod(0o644)
            docker("exec", self.container(name), "cp", f"/site/{path.name}", f"/data/{file}")
        self.run_member(name)

    def run_member(self, name: str) -> None:
        """Start the processes of a member, after a kill too."""
        docker("exec", "--detach", self.container(name), "redis-server", "/data/redis.conf")
        docker("exec", "--detach", self.container(name), "redis-server", "/data/sentinel.conf", "--sentinel")
        await_true(lambda: self.admin(name).call("PING"), f"member {name}")

    def kill_member(self, name: str, signal: str = "KILL") -> None:
        """Kill the processes of a member, or freeze and thaw them."""
        docker("exec", self.container(name), "pkill", f"-{signal}", "redis-server")

    def _start_edge(self) -> None:
        servers = "\n".join(f"    server {name} {self.address(name)}:6379" for name in MEMBERS)
        config = self.folder / "haproxy.cfg"
        config.write_text(_EDGE.format(folder=self.folder, edge=EDGE, servers=servers, checked=_CHECKED))
        docker("run", "--detach", "--init", "--cpu-shares=128", f"--name={self.container('edge')}", "--network=host",
               f"--volume={self.folder}:{self.folder}", f"{LAB}/appserver", "sleep", "infinity")  # fmt: skip
        docker("exec", self.container("edge"), "apt-get", "install", "--yes", "--no-install-recommends", "-qq",
               "haproxy")  # fmt: skip
        docker("exec", "--detach", self.container("edge"), "haproxy", "-db", "-f", str(config))
        await_true(self.edge.process, "the edge")

    # The follower, as the unit runs it

    def follow(self) -> None:
        """Run the follower in a thread: every half second."""
        settings = RedisSettings.from_dict(self.settings())
        follower = Follower(
            self.edge_settings(), self.edge, Docker(), self.paths, {"redis": prober(settings)}, say=self.said.append
        )
        tend = tender(settings, self.paths, say=self.said.append)

        def loop() -> None:
            while not self._stop.is_set():
                follower.look()
                follower.reconcile()
                try:
                    address = Docker().address(PREFIX, "redis")
                    if address:
                        tend(address, 6379)
                except Locked:
                    pass
                except Exception as problem:
                    self.said.append(f"tend: {problem}")
                self._stop.wait(0.5)

        self._stop.clear()
        self._following = threading.Thread(target=loop, daemon=True)
        self._following.start()

    def unfollow(self) -> None:
        """Stop the follower."""
        self._stop.set()
        if self._following is not None:
            self._following.join()

    def remove(self) -> None:
        """Remove everything of this site."""
        self.unfollow()
        for name in ("edge", "source", *MEMBERS):
            subprocess.run(
                ["docker", "rm", "--force", "--volumes", self.container(name)], capture_output=True, check=False
            )
        subprocess.run(["docker", "network", "rm", self.container("net")], capture_output=True, check=False)

    def _certificates(self) -> None:
        def openssl(*words: str) -> None:
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
                "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
        for name in ("source", *MEMBERS):
            address = EDGE if name == "source" else self.address(name)
            (self.folder / f"{name}.ext").write_text(f"subjectAltName=IP:{address}\n")
            openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
            openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                    "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip
            (self.folder / f"{name}.key").chmod(0o644)
        pair = (self.folder / "source.crt").read_text() + (self.folder / "source.key").read_text()
        (self.folder / "source.pem").write_text(pair)
        self.folder.chmod(0o755)
