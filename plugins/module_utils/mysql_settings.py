# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the MySQL driver is told: the content of /etc/tutorops/stores/mysql.json (docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .mysql_member import Accounts, Member
from .mysql_series import AUTO, WAYS
from .paths import PATHS
from .store_settings import limits_of
from .stores.base import StoreError


@dataclass(frozen=True)
class MysqlLimits:
    """When a flip may be tried, and how hard a comparison may work. Times are seconds."""

    lag_seconds: float = 2.0
    comparison_seconds: float = 24 * 3600.0
    follow_seconds: float = 3600.0
    gtid_watch_seconds: float = 5.0
    connections: int = 4
    chunk_bytes: int = 8_000_000


@dataclass(frozen=True)
class MysqlSettings:
    """Both ends, who we are on them, and where what has to last is kept."""

    edge_address: str
    compose_project: str
    service: str
    service_port: int
    root_user: str
    root_password: str = field(repr=False)
    source_address: str
    source_port: int
    members: tuple[Member, ...]
    group_name: str
    admin_user: str
    admin_password: str = field(repr=False)
    replication_user: str
    replication_password: str = field(repr=False)
    ca: str
    source_certificate: str
    source_key: str
    state: Path
    copy: str = AUTO
    limits: MysqlLimits = MysqlLimits()

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> MysqlSettings:
        """Read the settings, and name the one that is missing."""
        try:
            source, cluster, tls = given["source"], given["cluster"], given["tls"]
            return cls(
                edge_address=given["edge_address"],
                compose_project=given["compose_project"],
                service=source["service"],
                service_port=int(source.get("port", 3306)),
                root_user=source["root_user"],
                root_password=source["root_password"],
                source_address=given.get("source_address") or given["edge_address"],
                source_port=int(given["source_port"]),
                members=tuple(
                    Member(one["name"], one["address"], int(one.get("port", 3306))) for one in cluster["members"]
                ),
                group_name=cluster["group_name"],
                admin_user=cluster["admin_user"],
                admin_password=cluster["admin_password"],
                replication_user=cluster["replication_user"],
                replication_password=cluster["replication_password"],
                ca=tls["ca"],
                source_certificate=tls["source_certificate"],
                source_key=tls["source_key"],
                state=Path(given.get("state_directory") or PATHS.var / "mysql"),
                copy=_copy(given.get("copy") or AUTO),
                limits=limits_of(MysqlLimits, given.get("limits") or {}),
            )
        except KeyError as problem:
            raise StoreError(
                f"the settings of store mysql on the app server lack {problem}: run offload.yml, which writes them"
            ) from None


def accounts(settings: MysqlSettings) -> Accounts:
    """The accounts that every server of both ends has."""
    return Accounts(
        settings.admin_user, settings.admin_password, settings.replication_user, settings.replication_password
    )


def _copy(wanted: str) -> str:
    if wanted not in WAYS:
        raise StoreError(f"offload_mysql_copy is {wanted}, which is none of {', '.join(WAYS)}: set it to one of them")
    return wanted
