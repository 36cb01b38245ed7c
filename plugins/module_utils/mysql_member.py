# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to one member of a MySQL group: every statement of Group Replication, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .mysql_client import Connection, MysqlError

ACTION = "mysql_disable_super_read_only_if_primary"
EVENT = "AFTER_PRIMARY_ELECTION"
RECOVERY_CHANNEL = "group_replication_recovery"
SYSTEM_SCHEMAS = ("information_schema", "mysql", "performance_schema", "sys")
SYSTEM_ACCOUNTS = ("mysql.session", "mysql.sys", "mysql.infoschema")

_ALREADY_RUNNING = 3093
#: A start or stop of the group is being executed, such as the tries to join after a boot.
UNDER_WAY = (3663, 3724)
_REPLICATION_GRANTS = "REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, CLONE_ADMIN, GROUP_REPLICATION_STREAM ON *.*"
_HEALTH_TABLES = ("replication_group_members", "replication_group_member_actions")


@dataclass(frozen=True)
class Member:
    """A member of a group: its name in messages, and the address by which everybody reaches it."""

    name: str
    address: str
    port: int = 3306


@dataclass(frozen=True)
class Accounts:
    """The accounts that every member has. The administrator also logs in by socket, as the system's root."""

    admin_user: str
    admin_password: str = field(repr=False)
    replication_user: str
    replication_password: str = field(repr=False)
    health_user: str = "tutorops_health"
    admin_hosts: tuple[str, ...] = ("%",)


@dataclass(frozen=True)
class Peer:
    """A member as another one sees it."""

    uuid: str
    address: str
    port: int
    state: str
    role: str


@dataclass(frozen=True)
class MemberState:
    """What a member said of itself at one moment. ``state`` is empty when it could not be asked."""

    name: str
    reachable: bool
    error: str = ""
    state: str = ""
    role: str = ""
    server_uuid: str = ""
    gtid_executed: str = ""
    received: str = ""
    super_read_only: bool = False
    open_action: bool = True
    action_version: int = 0
    user_schemas: tuple[str, ...] = ()
    version: str = ""
    group_name: str = ""
    may_bootstrap: bool = False
    members_seen: tuple[Peer, ...] = ()

    @property
    def in_service(self) -> bool:
        """Whether it belongs to a group that has a majority."""
        alive = sum(peer.state in ("ONLINE", "RECOVERING") for peer in self.members_seen)
        return self.state in ("ONLINE", "RECOVERING") and alive * 2 > len(self.members_seen)

    @property
    def online(self) -> bool:
        """Whether it is a full member of a group with a majority."""
        return self.in_service and self.state == "ONLINE"

    @property
    def primary(self) -> bool:
        """Whether it is the primary of a group with a majority."""
        return self.online and self.role == "PRIMARY"

    @property
    def blank(self) -> bool:
        """Whether it holds neither data nor history."""
        return self.reachable and not self.user_schemas and not self.gtid_executed and not self.received

    @property
    def position(self) -> str:
        """Everything that it has, applied or only received, as a GTID set."""
        return ",".join(part for part in (self.gtid_executed, self.received) if part)

    def as_dict(self) -> dict[str, Any]:
        """What a module returns."""
        return {**asdict(self), "in_service": self.in_service}


class MemberServer:
    """One member over an open connection, with the privileges of the administrator."""

    def __init__(self, member: Member, connection: Connection) -> None:
        self.member = member
        self.connection = connection

    def look(self) -> MemberState:
        """Ask it everything that a decision may need."""
        own = self.connection.query(
            "SELECT @@server_uuid AS uuid, @@version AS version, @@global.gtid_executed AS executed, "
            "@@global.super_read_only AS closed"
        )[0]
        settings = self._group_settings()
        peers = tuple(self._peers())
        me = next((peer for peer in peers if peer.uuid == own["uuid"]), None)
        return MemberState(
            name=self.member.name,
            reachable=True,
            state=me.state if me else "OFFLINE",
            role=me.role if me else "",
            server_uuid=own["uuid"],
            gtid_executed=_one_line(own["executed"]),
            received=_one_line(self._received()),
            super_read_only=bool(int(own["closed"])),
            open_action=self._open_action(),
            action_version=self._action_version(),
            user_schemas=tuple(self._schemas()),
            version=own["version"],
            group_name=settings.get("group_name", ""),
            may_bootstrap=settings.get("bootstrap_group") == "ON",
            members_seen=peers,
        )

    def is_prepared(self, accounts: Accounts) -> bool:
        """Whether the accounts exist, and joining would use the given password."""
        rows = self.connection.query("SELECT CONCAT(user, '@', host) AS account FROM mysql.user")
        wanted = {f"{accounts.admin_user}@{host}" for host in ("localhost", *accounts.admin_hosts)}
        wanted |= {f"{accounts.replication_user}@%", f"{accounts.health_user}@localhost"}
        logins = self.connection.query(
            "SELECT user_name AS user, user_password AS password FROM mysql.slave_master_info WHERE channel_name = %s",
            (RECOVERY_CHANNEL,),
        )
        channel = [(row["user"], row["password"]) for row in logins]
        expected = [(accounts.replication_user, accounts.replication_password)]
        joins = self._group_settings().get("start_on_boot") == "ON"
        return joins and wanted <= {row["account"] for row in rows} and channel == expected

    def make_accounts(self, accounts: Accounts) -> None:
        """Make the accounts, outside the binary log: the member's history must stay the group's own."""
        # read_only stays on, so meanwhile nobody but administrators can write.
        self.connection.execute("SET GLOBAL super_read_only = OFF")
        try:
            self.connection.execute("SET SESSION sql_log_bin = 0")
            self._create_accounts(accounts)
        finally:
            self.connection.execute("SET SESSION sql_log_bin = 1")
            self.connection.execute("SET GLOBAL super_read_only = ON")

    def let_join(self, accounts: Accounts) -> None:
        """Tell it how to log in to the other members, and to join them whenever it boots."""
        self.connection.execute("SET PERSIST group_replication_start_on_boot = ON")
        self.connection.execute(
            f"CHANGE REPLICATION SOURCE TO SOURCE_USER = %s, SOURCE_PASSWORD = %s FOR CHANNEL '{RECOVERY_CHANNEL}'",
            (accounts.replication_user, accounts.replication_password),
        )

    def stop_group(self) -> None:
        """Leave the group, or end the tries to join it."""
        self.connection.execute("STOP GROUP_REPLICATION")

    def rest(self) -> None:
        """Belong to no group, and look for none at a boot, until let_join()."""
        self.stop_group()
        self.connection.execute("SET PERSIST group_replication_start_on_boot = OFF")

    def start_group(self) -> None:
        """Join a group that is in service."""
        self._start()

    def bootstrap_group(self) -> None:
        """Begin a group with this member; the caller makes sure that no other exists."""
        self.connection.execute("SET GLOBAL super_read_only = ON")
        self.connection.execute("SET GLOBAL group_replication_bootstrap_group = ON")
        self._start()

    def forbid_bootstrap(self) -> None:
        """Make sure that the next start joins a group, whatever an interrupted run left."""
        self.connection.execute("SET GLOBAL group_replication_bootstrap_group = OFF")

    def prefer_clone(self, wanted: bool) -> None:
        """Whether joining copies everything even when the binary logs would do."""
        self.connection.execute(f"SET GLOBAL group_replication_clone_threshold = {'1' if wanted else 'DEFAULT'}")

    def serve(self) -> None:
        """End the offline mode that a member enters when it loses its group."""
        if self.connection.value("SELECT @@global.offline_mode"):
            self.connection.execute("SET GLOBAL offline_mode = OFF")

    def set_super_read_only(self, wanted: bool, timeout: float = 10.0) -> None:
        """Refuse writes from everybody, or take them again; waits for commits in flight at most so long."""
        self.connection.execute(f"SET SESSION lock_wait_timeout = {max(1, round(timeout))}")
        if wanted:
            self.connection.execute("SET GLOBAL super_read_only = ON")
        else:
            self.connection.execute("SET GLOBAL super_read_only = OFF")
            self.connection.execute("SET GLOBAL read_only = OFF")

    def set_open_action(self, wanted: bool) -> None:
        """Whether the group opens its primaries by itself; possible on the primary, and on a member without a group."""
        if self._open_action() != wanted:
            # A member that boots closed refuses this; every caller sets super_read_only to what it wants next.
            self.connection.execute("SET GLOBAL super_read_only = OFF")
            verb = "enable" if wanted else "disable"
            self.connection.query(f"SELECT group_replication_{verb}_member_action('{ACTION}', '{EVENT}')")

    def running_channels(self) -> list[str]:
        """Channels from servers outside the group that run here."""
        rows = self.connection.query(
            "SELECT c.channel_name AS channel FROM performance_schema.replication_connection_status c JOIN "
            "performance_schema.replication_applier_status a USING (channel_name) WHERE c.channel_name NOT LIKE "
            "'group_replication_%' AND (c.service_state <> 'OFF' OR a.service_state <> 'OFF') ORDER BY 1"
        )
        return [row["channel"] for row in rows]

    def stop_channels(self, channels: Iterable[str]) -> None:
        """Stop such channels."""
        for channel in channels:
            self.connection.execute("STOP REPLICA FOR CHANNEL %s", (channel,))

    def start_channels(self, channels: Iterable[str]) -> None:
        """Start such channels; one that runs already is left alone."""
        for channel in channels:
            self.connection.execute("START REPLICA FOR CHANNEL %s", (channel,))

    def make_primary(self, uuid: str) -> None:
        """Hand the group over to another member in good order."""
        self.connection.query("SELECT group_replication_set_as_primary(%s)", (uuid,))

    def restart(self) -> None:
        """Restart the server; systemd starts it again."""
        self.connection.execute("RESTART")

    def process(self) -> int:
        """The number of the server's process, which a restart changes."""
        return int(
            self.connection.value("SELECT thread_os_id FROM performance_schema.threads WHERE name = 'thread/sql/main'")
        )

    def contains(self, position: str, other: str) -> bool:
        """Whether a GTID set holds all of another one."""
        return bool(int(self.connection.value("SELECT GTID_SUBSET(%s, %s)", (other, position))))

    def missing(self, position: str, other: str) -> str:
        """What of ``other`` is not in ``position``."""
        return _one_line(self.connection.value("SELECT GTID_SUBTRACT(%s, %s)", (other, position)))

    def copied(self) -> dict[str, int]:
        """How far a clone into this member has come, in bytes."""
        rows = self.connection.query(
            "SELECT COALESCE(SUM(data), 0) AS done, COALESCE(SUM(estimate), 0) AS total "
            "FROM performance_schema.clone_progress WHERE stage IN ('FILE COPY', 'PAGE COPY', 'REDO COPY')"
        )
        total = int(rows[0]["total"]) if rows else 0
        return {"bytes_done": int(rows[0]["done"]), "bytes_total": total} if total else {}

    def last_error(self) -> str:
        """The newest complaint of replication in the member's error log."""
        return str(
            self.connection.value(
                "SELECT data FROM performance_schema.error_log WHERE prio = 'Error' AND subsystem = 'Repl' "
                "ORDER BY logged DESC LIMIT 1"
            )
            or "nothing in its error log"
        )

    def _start(self) -> None:
        try:
            self.connection.execute("START GROUP_REPLICATION")
        except MysqlError as problem:
            if problem.code not in (_ALREADY_RUNNING, *UNDER_WAY):
                raise

    def _create_accounts(self, accounts: Accounts) -> None:
        run = self.connection.execute
        for host in accounts.admin_hosts:
            self._create_user(accounts.admin_user, host, accounts.admin_password)
            run("GRANT ALL ON *.* TO %s@%s WITH GRANT OPTION", (accounts.admin_user, host))
        # After a copy from a foreign server root's password is that server's; this is the way in that stays.
        run("CREATE USER IF NOT EXISTS %s@'localhost' IDENTIFIED WITH auth_socket AS 'root'", (accounts.admin_user,))
        run("GRANT ALL ON *.* TO %s@'localhost' WITH GRANT OPTION", (accounts.admin_user,))
        self._create_user(accounts.replication_user, "%", accounts.replication_password)
        run(f"GRANT {_REPLICATION_GRANTS} TO %s@'%%'", (accounts.replication_user,))
        # Who follows the group from outside asks the member that it follows who else belongs to it.
        run("GRANT SELECT ON performance_schema.* TO %s@'%%'", (accounts.replication_user,))
        run("CREATE USER IF NOT EXISTS %s@'localhost' IDENTIFIED WITH auth_socket", (accounts.health_user,))
        for table in _HEALTH_TABLES:
            run(f"GRANT SELECT ON performance_schema.{table} TO %s@'localhost'", (accounts.health_user,))

    def _create_user(self, user: str, host: str, password: str) -> None:
        self.connection.execute("CREATE USER IF NOT EXISTS %s@%s IDENTIFIED BY %s REQUIRE SSL", (user, host, password))
        self.connection.execute("ALTER USER %s@%s IDENTIFIED BY %s REQUIRE SSL", (user, host, password))

    def _group_settings(self) -> dict[str, str]:
        """Settings of the plugin, without its prefix; none where it is not loaded."""
        rows = self.connection.query(
            "SELECT SUBSTRING(variable_name, 19) AS name, variable_value AS value "
            "FROM performance_schema.global_variables "
            "WHERE variable_name IN ('group_replication_group_name', 'group_replication_bootstrap_group', "
            "'group_replication_start_on_boot')"
        )
        return {row["name"]: row["value"] for row in rows}

    def _peers(self) -> list[Peer]:
        rows = self.connection.query(
            "SELECT member_id AS uuid, member_host AS address, member_port AS port, member_state AS state, "
            "member_role AS role FROM performance_schema.replication_group_members WHERE member_id <> ''"
        )
        return [Peer(row["uuid"], row["address"], int(row["port"] or 0), row["state"], row["role"]) for row in rows]

    def _received(self) -> str | None:
        value = self.connection.value(
            "SELECT received_transaction_set FROM performance_schema.replication_connection_status "
            "WHERE channel_name = 'group_replication_applier'"
        )
        return None if value is None else str(value)

    def _open_action(self) -> bool:
        enabled = self.connection.value(
            "SELECT enabled FROM performance_schema.replication_group_member_actions WHERE name = %s AND event = %s",
            (ACTION, EVENT),
        )
        return enabled is None or bool(int(enabled))

    def _action_version(self) -> int:
        version = self.connection.value(
            "SELECT version FROM performance_schema.replication_group_configuration_version "
            "WHERE name = 'replication_group_member_actions'"
        )
        return int(version or 0)

    def _schemas(self) -> list[str]:
        rows = self.connection.query("SELECT schema_name AS name FROM information_schema.schemata")
        return sorted(row["name"] for row in rows if row["name"] not in SYSTEM_SCHEMAS)


def _one_line(gtids: str | None) -> str:
    return "".join((gtids or "").split())
