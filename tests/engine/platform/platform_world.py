# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of the lab's images on a network of their own, with settings that the real Tutor renders."""

from __future__ import annotations

import base64
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from lablib.images import Catalogue
from lablib.settings import Settings

PREFIX = os.environ.get("TUTOROPS_ENGINE_PREFIX", "tutorops-engine") + "-platform"
SUBNET = os.environ.get("TUTOROPS_PLATFORM_SUBNET", "172.29.45.0/24")
ENV = "/root/env/apps"
SECURED = {
    "MONGODB_REPLICA_SET": "tutorops",
    "MONGODB_USERNAME": "openedx",
    "MONGODB_PASSWORD": "mongo1secret",
    "MONGODB_AUTH_SOURCE": "admin",
    "MONGODB_USE_SSL": "true",
    "REDIS_USERNAME": "openedx",
    "REDIS_PASSWORD": "redis1secret",
}
PLUGIN = """
from tutor import hooks

hooks.Filters.ENV_PATCHES.add_item(("openedx-common-settings", '''
mongodb_parameters.update(tlsCAFile="/openedx/config/ca.pem", connectTimeoutMS=2000, heartbeatFrequencyMS=2000)
update_module_store_settings(MODULESTORE, doc_store_settings=DOC_STORE_CONFIG)
EVENT_BUS_REDIS_CONNECTION_URL = "redis://openedx:redis1secret@redis:6379/"
'''))
"""
REDIS_CONF = "\nuser default off\nuser openedx on >redis1secret ~* &* +@all -@admin\n"


def docker(*words: str, stdin: str | None = None, check: bool = True) -> str:
    """Run docker, and fail with what it said."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, input=stdin, check=False)
    assert not check or done.returncode == 0, f"docker {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def until(condition: Callable[[], object], what: str, seconds: float = 90.0) -> None:
    """Ask until it holds."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.2)


class PlatformWorld:
    """MySQL, MongoDB, Redis, one web container and one worker."""

    def __init__(self, folder: Path, secured: bool) -> None:
        self.folder = folder
        self.secured = secured
        self.catalogue = Catalogue.load(Settings.from_environment(os.environ))

    def start(self) -> None:
        """Bring it up, from the images to a platform that answers."""
        self.catalogue.build(["appserver", "mysql", "mongodb", "redis", "openedx"])
        self.stop()
        docker("network", "create", f"--subnet={SUBNET}", PREFIX)
        self._render()
        mongod = ["mongod", "--storageEngine", "wiredTiger"]
        if self.secured:
            self._certify()
            mongod += ["--replSet", "tutorops", "--keyFile", "/secrets/keyfile", "--tlsMode", "requireTLS"]
            mongod += ["--tlsCertificateKeyFile", "/secrets/server.pem", "--tlsCAFile", "/secrets/ca.pem"]
            mongod += ["--tlsAllowConnectionsWithoutCertificates"]
        secrets = [f"--volume={self.folder}/secrets:/secrets"] if self.secured else []
        root = ["--env=MYSQL_ROOT_PASSWORD=root"]
        self._run("mysql", "mysqld", "--character-set-server=utf8mb4", options=["--user=999:999", *root])
        self._run("mongodb", *mongod, options=["--user=999:999", *secrets])
        self._run("redis", "redis-server", "/redis.conf", options=[f"--volume={self.folder}/redis.conf:/redis.conf:ro"])
        self._make_accounts()
        docker("run", "--rm", f"--network={PREFIX}", *self._mounts, self.catalogue.tag("openedx"),
               "./manage.py", "lms", "migrate")  # fmt: skip
        self._run("lms", "uwsgi", "/openedx/uwsgi.ini", image="openedx", options=self._mounts)
        self._run("worker", "celery", "--app=lms.celery", "worker", "--loglevel=info", "--concurrency=2",
                  "--queues=edx.lms.core.default", "--prefetch-multiplier=1", "--without-gossip", "--without-mingle",
                  image="openedx", options=self._mounts)  # fmt: skip
        until(lambda: self.get("/heartbeat")[0] == 200, "the platform answers")

    def stop(self) -> None:
        """Take everything away."""
        for name in ("lms", "worker", "mysql", "mongodb", "redis"):
            docker("rm", "--force", "--volumes", f"{PREFIX}-{name}", check=False)
        docker("network", "rm", PREFIX, check=False)

    @property
    def target(self) -> str:
        """Where the platform listens."""
        return f"{self._address('lms')}:8000"

    def get(self, path: str) -> tuple[int, str]:
        """Ask the LMS."""
        request = urllib.request.Request(f"http://{self.target}{path}", headers={"Host": "lms.test"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode(errors="replace")
        except OSError as problem:
            return 0, str(problem)

    def manage(self, *words: str) -> str:
        """Run a command of the platform."""
        return docker("exec", f"{PREFIX}-lms", "./manage.py", "lms", *words)

    def log(self, name: str) -> str:
        """What a container said."""
        done = subprocess.run(["docker", "logs", f"{PREFIX}-{name}"], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    # Parts

    def _run(self, name: str, *command: str, image: str = "", options: list[str] | None = None) -> None:
        docker("run", "--detach", f"--name={PREFIX}-{name}", f"--network={PREFIX}", f"--network-alias={name}",
               "--cpu-shares=64", *(options or []), self.catalogue.tag(image or name), *command)  # fmt: skip

    def _address(self, name: str) -> str:
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", "--format", form, f"{PREFIX}-{name}").strip()

    @property
    def _mounts(self) -> list[str]:
        apps = self.folder / "root" / "env" / "apps" / "openedx"
        places = {
            "settings/lms": "/openedx/edx-platform/lms/envs/tutor",
            "settings/cms": "/openedx/edx-platform/cms/envs/tutor",
            "config": "/openedx/config",
            "uwsgi.ini": "/openedx/uwsgi.ini",
        }
        return [f"--volume={apps}/{source}:{target}:ro" for source, target in places.items()]

    def _render(self) -> None:
        (self.folder / "plugins").mkdir()
        (self.folder / "root").mkdir()
        settings = ["LMS_HOST=lms.test", "OPENEDX_MYSQL_PASSWORD=openedx"]
        enable = ""
        if self.secured:
            (self.folder / "plugins" / "secured.py").write_text(PLUGIN)
            settings += [f"{name}={value}" for name, value in SECURED.items()]
            enable = "tutor plugins enable secured && "
        words = " ".join(f"--set {setting}" for setting in settings)
        script = f"{enable}tutor config save {words} && chmod -R a+rX /root"
        folders = [f"--volume={self.folder}/{name}:/{name}" for name in ("root", "plugins")]
        folders += ["--env=TUTOR_ROOT=/root", "--env=TUTOR_PLUGINS_ROOT=/plugins"]
        docker("run", "--rm", "--network=none", *folders, self.catalogue.tag("appserver"), "sh", "-c", script)
        conf = (self.folder / "root" / "env" / "apps" / "redis" / "redis.conf").read_text()
        conf = conf.replace("dir /openedx/redis/data/", "dir /tmp")
        (self.folder / "redis.conf").write_text(conf + (REDIS_CONF if self.secured else ""))
        self.folder.chmod(0o755)

    def _certify(self) -> None:
        """One certificate that is its own authority, and a key file, for uid 999 alone."""
        secrets = self.folder / "secrets"
        secrets.mkdir()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mongodb",
             "-addext", "subjectAltName=DNS:mongodb", "-keyout", secrets / "key.pem", "-out", secrets / "ca.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
        (secrets / "server.pem").write_text((secrets / "key.pem").read_text() + (secrets / "ca.pem").read_text())
        (secrets / "keyfile").write_bytes(base64.b64encode(os.urandom(96)))
        config = self.folder / "root" / "env" / "apps" / "openedx" / "config" / "ca.pem"
        config.write_bytes((secrets / "ca.pem").read_bytes())
        config.chmod(0o644)
        script = "chown -R 999:999 /secrets && chmod 400 /secrets/*"
        docker("run", "--rm", f"--volume={secrets}:/secrets", self.catalogue.tag("mongodb"), "sh", "-c", script)

    def _make_accounts(self) -> None:
        sql = "CREATE DATABASE openedx; CREATE USER 'openedx'@'%' IDENTIFIED BY 'openedx'; "
        sql += "GRANT ALL ON openedx.* TO 'openedx'@'%';"
        mysql = ["exec", "-i", "-e", "MYSQL_PWD=root", f"{PREFIX}-mysql", "mysql", "-uroot", "-h127.0.0.1"]
        until(lambda: docker(*mysql, "-Ne", "SELECT 1", check=False).strip() == "1", "MySQL answers")
        docker(*mysql, stdin=sql)
        if not self.secured:
            return
        script = f"""
import pymongo
client = pymongo.MongoClient("127.0.0.1", directConnection=True, tls=True, tlsAllowInvalidHostnames=True,
                             tlsCAFile="/secrets/ca.pem", serverSelectionTimeoutMS=60000)
client.admin.command("replSetInitiate", {{"_id": "tutorops", "members": [{{"_id": 0, "host": "mongodb:27017"}}]}})
while not client.admin.command("hello")["isWritablePrimary"]:
    pass
roles = [{{"role": "readWrite", "db": "openedx"}}]
client.admin.command("createUser", "root", pwd="root", roles=["root"])
client.close()
client = pymongo.MongoClient("127.0.0.1", directConnection=True, tls=True, tlsAllowInvalidHostnames=True,
                             tlsCAFile="/secrets/ca.pem", username="root", password="root")
client.admin.command("createUser", "openedx", pwd="{SECURED["MONGODB_PASSWORD"]}", roles=roles)
"""
        # In the server's own network namespace: the first account may only be made from there.
        docker("run", "--rm", "-i", f"--network=container:{PREFIX}-mongodb", f"--volume={self.folder}/secrets:/secrets",
               "--user=0", self.catalogue.tag("openedx"), "python3", "-", stdin=script)  # fmt: skip
