"""The stores of a site as the tests see them: asked directly, not through what is tested."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from lablib.settings import SHARED
from trafficlib.journey import LEDGERS

if TYPE_CHECKING:
    from lab_site import Site

VARIABLES: dict[str, Any] = yaml.safe_load((SHARED / "inventory" / "group_vars" / "lab.yml").read_text())
#: What a site keeps in a vault, by name.
SECRETS = {name: value for name, value in VARIABLES.items() if name.endswith(("_password", "_keyfile"))}
ASK_MONGODB = (SHARED / "ask_mongodb.py").read_text(encoding="utf-8")
FENCED_STEPS = ("hold", "drain", "fence", "apply", "decide", "open", "way back")


@dataclass(frozen=True)
class Store:
    """What the tests need of a store; its ways to ask are below."""

    name: str
    #: Of the server, on a member and in the container.
    process: str
    #: What a move goes through, as it tells in its progress.
    steps: Sequence[str]

    @property
    def container(self) -> str:
        """What Tutor's compose project calls it."""
        return f"tutor_local-{self.name}-1"

    @property
    def ledgers(self) -> tuple[str, ...]:
        """The traffic client's ledgers that this store holds."""
        return LEDGERS[self.name]

    def local_writes(self, site: Site) -> bool:
        """Whether Tutor's container takes writes."""
        raise NotImplementedError

    def member_writes(self, site: Site, host: str) -> bool:
        """Whether a member of the cluster takes writes."""
        raise NotImplementedError

    def serves(self, site: Site, host: str) -> bool:
        """Whether a member is a part of its cluster that is up to date, or is on its way to it."""
        raise NotImplementedError


class Mysql(Store):
    """Asked by its own client, as the administrator that the socket lets in."""

    def local_writes(self, site: Site) -> bool:
        return site.source_sql("SELECT @@super_read_only") == ["0"]

    def member_writes(self, site: Site, host: str) -> bool:
        return site.member_sql(host, "SELECT @@super_read_only") == ["0"]

    def serves(self, site: Site, host: str) -> bool:
        table = "performance_schema.replication_group_members"
        return site.member_sql(host, f"SELECT member_state FROM {table} WHERE member_id = @@server_uuid") == ["ONLINE"]


class Mongodb(Store):
    """Asked as anybody may ask it, out of the LMS's container, from where the platform reaches it."""

    def local_writes(self, site: Site) -> bool:
        return bool(self.asked(site, "mongodb")["leads"])

    def member_writes(self, site: Site, host: str) -> bool:
        return bool(self.asked(site, site.settings.address(host))["leads"])

    def serves(self, site: Site, host: str) -> bool:
        found = self.asked(site, site.settings.address(host))
        return bool(found["leads"] or found["follows"])

    def asked(self, site: Site, address: str) -> dict[str, Any]:
        """What a server says of itself."""
        command = ["docker", "exec", "-i", "tutor_local-lms-1", "python3", "-", address]
        said = site.inside(site.app, *command, check=False, stdin=ASK_MONGODB, timeout=60)
        return dict(json.loads(said)) if said else {"leads": False, "follows": False}


class Redis(Store):
    """Asked by its own client as the administrator: an end takes writes when one is taken."""

    probe = "SET tutorops:test:probe 1 EX 1"

    def local_writes(self, site: Site) -> bool:
        return self.told(site, site.app, "docker", "exec", "-i", self.container, "redis-cli")[-1:] == ["OK"]

    def member_writes(self, site: Site, host: str) -> bool:
        return self.told(site, host, *self.client(site, host))[-1:] == ["OK"]

    def serves(self, site: Site, host: str) -> bool:
        found = self.told(site, host, *self.client(site, host), command="INFO replication")
        return "role:master" in found or "master_link_status:up" in found

    def client(self, site: Site, host: str) -> list[str]:
        """The client on a member."""
        return ["redis-cli", "--tls", "--cacert", "/etc/redis/tls/ca.pem", "-h", site.settings.address(host)]

    def told(self, site: Site, host: str, *client: str, command: str = probe) -> list[str]:
        """What a command says, line by line; a server without that account, as Tutor's is at first, needs none."""
        lines = f"AUTH tutorops {SECRETS['redis_admin_password']}\n{command}\n"
        return [line.strip() for line in site.inside(host, *client, check=False, stdin=lines, timeout=30).splitlines()]


STORES: dict[str, Store] = {
    store.name: store
    for store in (
        Mysql("mysql", "mysqld", FENCED_STEPS),
        Mongodb("mongodb", "mongod", ("seats", "hold", "drain", "pause", "step down", "decide", "open", "way back")),
        Redis("redis", "redis-server", ("backlog", *FENCED_STEPS)),
    )
}
