# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the MongoDB driver is told: the content of /etc/tutorops/stores/mongodb.json (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .mongodb_config import join_host
from .paths import PATHS
from .store_settings import limits_of
from .stores.base import StoreError


@dataclass(frozen=True)
class MongodbLimits:
    """When a move may be tried, and how long things may take. Times are seconds.

    ``restart_seconds`` bounds the one restart of Tutor's container, and so for how long requests may wait for it.
    ``config_seconds`` bounds each change of the set's configuration, which happens while everything serves.
    ``strangers`` is how many connections without a login may be there when the work moves to the cluster.
    """

    lag_seconds: float = 2.0
    comparison_seconds: float = 24 * 3600.0
    follow_seconds: float = 24 * 3600.0
    patience_seconds: float = 300.0
    restart_seconds: float = 20.0
    drain_seconds: float = 5.0
    config_seconds: float = 30.0
    elect_seconds: float = 5.0
    batch: int = 1000
    strangers: int = 0


@dataclass(frozen=True)
class Member:
    """A member of the cluster."""

    name: str
    address: str
    port: int = 27017

    @property
    def host(self) -> str:
        """What the set calls it."""
        return join_host(self.address, self.port)


@dataclass(frozen=True)
class MongodbSettings:
    """Both ends, who we are on them, and where what has to last is kept."""

    edge_address: str
    compose_project: str
    service: str
    service_port: int
    source_address: str
    source_port: int
    tutor_root: Path
    tutor_owner: str | None
    tutor_binary: str | None
    tutor_plugins_root: str | None
    set_name: str
    keyfile: str = field(repr=False)
    members: tuple[Member, ...]
    admin_user: str
    admin_password: str = field(repr=False)
    app_user: str
    app_password: str = field(repr=False)
    databases: tuple[str, ...]
    ca: str
    source_certificate: str
    source_key: str
    state: Path
    limits: MongodbLimits = MongodbLimits()

    @property
    def local_host(self) -> str:
        """What the set calls Tutor's container: the edge's way to it, which stays when the container is made anew."""
        return join_host(self.source_address, self.source_port)

    @property
    def data(self) -> Path:
        """Where Tutor keeps the container's data."""
        return self.tutor_root / "data" / "mongodb"

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> MongodbSettings:
        """Read the settings, and name the one that is missing."""
        try:
            source, cluster, application, tls = (given[part] for part in ("source", "cluster", "application", "tls"))
            return cls(
                edge_address=given["edge_address"],
                compose_project=given["compose_project"],
                service=source["service"],
                service_port=int(source.get("port", 27017)),
                source_address=given.get("source_address") or given["edge_address"],
                source_port=int(given["source_port"]),
                tutor_root=Path(given["tutor_root"]),
                tutor_owner=given.get("tutor_owner") or None,
                tutor_binary=given.get("tutor_binary") or None,
                tutor_plugins_root=given.get("tutor_plugins_root") or None,
                set_name=given["set_name"],
                keyfile=given["keyfile"],
                members=tuple(
                    Member(one["name"], one["address"], int(one.get("port", 27017))) for one in cluster["members"]
                ),
                admin_user=cluster["admin_user"],
                admin_password=cluster["admin_password"],
                app_user=application["user"],
                app_password=application["password"],
                databases=tuple(application["databases"]),
                ca=tls["ca"],
                source_certificate=tls["source_certificate"],
                source_key=tls["source_key"],
                state=Path(given.get("state_directory") or PATHS.var / "mongodb"),
                limits=limits_of(MongodbLimits, given.get("limits") or {}),
            )
        except KeyError as problem:
            raise StoreError(
                f"the settings of store mongodb on the app server lack {problem}: run offload.yml, which writes them"
            ) from None
