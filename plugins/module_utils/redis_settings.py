# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Redis driver is told: the content of /etc/tutorops/stores/redis.json (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .paths import PATHS
from .store_settings import limits_of
from .stores.base import StoreError


@dataclass(frozen=True)
class Member:
    """A member of the cluster, as the others and the edge reach it."""

    name: str
    address: str
    port: int = 6379


@dataclass(frozen=True)
class RedisLimits:
    """When a flip may be tried, and how long its parts may take. Times are seconds.

    ``drain_seconds`` also bounds how long a flip waits for requests in flight. ``quiet_seconds``: for how long a moment
    without a command in flight is looked for while requests are held. ``backlog_seconds``: how long, before anything is
    held, workers may take to end the tasks that they have fetched. ``pause_seconds``: for how long writes wait for the
    last round of a comparison.
    """

    drain_seconds: float = 1.0
    quiet_seconds: float = 1.5
    backlog_seconds: float = 15.0
    lag_seconds: float = 2.0
    comparison_seconds: float = 24 * 3600.0
    follow_seconds: float = 3600.0
    pause_seconds: float = 0.5
    worker_seconds: float = 60.0


@dataclass(frozen=True)
class RedisSettings:
    """Both ends, who we are on them, and where what has to last is kept."""

    edge_address: str
    compose_project: str
    tutor_root: Path
    service: str
    service_port: int
    source_user: str
    source_password: str = field(repr=False)
    source_address: str
    source_port: int
    way_back_port: int
    members: tuple[Member, ...]
    sentinel_port: int
    sentinel_name: str
    admin_user: str
    admin_password: str = field(repr=False)
    replication_user: str
    replication_password: str = field(repr=False)
    sentinel_user: str
    sentinel_password: str = field(repr=False)
    app_user: str
    app_password: str = field(repr=False)
    ca: str
    state: Path
    workers: tuple[str, ...] = ("lms-worker", "cms-worker")
    edge_port: int = 6379
    limits: RedisLimits = RedisLimits()

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> RedisSettings:
        """Read the settings, and name the one that is missing."""
        try:
            source, cluster, application, tls = given["source"], given["cluster"], given["application"], given["tls"]
            return cls(
                edge_address=given["edge_address"],
                compose_project=given["compose_project"],
                tutor_root=Path(given["tutor_root"]),
                service=source["service"],
                service_port=int(source.get("port", 6379)),
                source_user=source.get("user") or "",
                source_password=source.get("password") or "",
                source_address=given.get("source_address") or given["edge_address"],
                source_port=int(given["source_port"]),
                way_back_port=int(given["way_back_port"]),
                members=tuple(
                    Member(one["name"], one["address"], int(one.get("port", 6379))) for one in cluster["members"]
                ),
                sentinel_port=int(cluster.get("sentinel_port", 26379)),
                sentinel_name=cluster["sentinel_name"],
                admin_user=cluster["admin_user"],
                admin_password=cluster["admin_password"],
                replication_user=cluster["replication_user"],
                replication_password=cluster["replication_password"],
                sentinel_user=cluster["sentinel_user"],
                sentinel_password=cluster["sentinel_password"],
                app_user=application["user"],
                app_password=application["password"],
                ca=tls["ca"],
                state=Path(given.get("state_directory") or PATHS.var / "redis"),
                workers=tuple(given.get("workers") or ("lms-worker", "cms-worker")),
                edge_port=int(given.get("edge_port", 6379)),
                limits=limits_of(RedisLimits, given.get("limits") or {}),
            )
        except KeyError as problem:
            raise StoreError(
                f"the settings of store redis on the app server lack {problem}: run offload.yml, which writes them"
            ) from None

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that no client of the platform uses."""
        return self.admin_user, self.replication_user, self.sentinel_user, HEALTH_USER

    @property
    def boot_file(self) -> Path:
        """What the container reads when it starts."""
        return self.tutor_root / "env" / "apps" / "redis" / "redis.conf"


#: Who may ask a server what it is, and nothing else; it needs no password.
HEALTH_USER = "tutorops_health"
