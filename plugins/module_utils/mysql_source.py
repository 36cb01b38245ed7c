# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make Tutor's MySQL container ready to be followed, online, and undo it.

What it needs is kept in its data directory, because that survives a re-creation of the container: our certificate, the
settings of GTIDs and TLS (`SET PERSIST`), the clone plugin and our accounts. Everything is read first, so it can be run
again after any interruption. Accounts are made outside the binary log and reach the cluster with the copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .docker import Docker, DockerError
from .mysql_client import Connection, MysqlError
from .mysql_container import ContainerConnection
from .mysql_local import FENCE, LocalEnd
from .mysql_settings import MysqlSettings
from .stores.base import Progress, StoreError

#: Where our files are in the data directory, by the variable that names them.
TLS_FILES = {"ssl_ca": "tutorops-ca.pem", "ssl_cert": "tutorops-cert.pem", "ssl_key": "tutorops-key.pem"}
# Tutor runs the container as the data's own user, who may not change owners, and need not.
_OWN = '{ [ "$(id -u)" != 0 ] || chown --reference=. "$1.new"; }'
_WRITE = f'umask 077 && cat > "$1.new" && {_OWN} && mv "$1.new" "$1"'
#: The way to GTIDs; each step is refused by the server while something stands in its way.
_MODES = ("OFF", "OFF_PERMISSIVE", "ON_PERMISSIVE", "ON")
_ANONYMOUS_SECONDS = 60.0
_DENIED = 1045
_GRANTS = {
    "admin": "ALL ON *.*",
    # SELECT: a replica asks its source who else belongs to the group (reference manual, managed failover).
    "replication": "REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, CLONE_ADMIN, GROUP_REPLICATION_STREAM ON *.*",
}


class MysqlSource:
    """The container as the origin of a copy and of a channel."""

    def __init__(
        self,
        settings: MysqlSettings,
        end: LocalEnd,
        docker: Docker | None = None,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._end = end
        self._docker = docker or Docker()
        self._clock = clock
        self._wait = wait

    def reader(self, timeout: float = 30.0) -> ContainerConnection:
        """Ask the container as root by the client inside it: works before anything is prepared."""
        settings = self._settings
        return ContainerConnection(self._container(), settings.root_user, settings.root_password, timeout)

    def prepared(self) -> bool:
        """Whether the administrator gets in over verified TLS, and GTIDs are on."""
        try:
            return bool(self._end.server.value("SELECT @@global.gtid_mode = 'ON'"))
        except MysqlError:
            return False
        except StoreError as problem:
            if "certificate" in str(problem):
                return False
            raise

    def version(self) -> str:
        """The server's version."""
        reader = self._end.server if self.prepared() else self.reader()
        return str(reader.value("SELECT VERSION()"))

    def prepare(self, progress: Progress, clone: bool = True) -> bool:
        """Do what is missing; says whether anything was. ``clone``: it is copied physically."""
        progress("source", {"step": "TLS"})
        changed = self._install_tls()
        with self._end.login(self._settings.root_user, self._settings.root_password) as root:
            self._refuse(root)
            progress("source", {"step": "accounts"})
            changed |= self._make_accounts(root)
            changed |= clone and self._install_clone(root)
            changed |= self._turn_on_gtids(root, progress)
            if not root.value("SELECT @@global.gtid_executed"):
                # A copy without history could not be told from an empty server: give it one transaction.
                root.execute("FLUSH PRIVILEGES")
                changed = True
        return changed

    def undo(self) -> bool:
        """Leave the container as it was found: GTIDs off, its own certificate, without our accounts and files."""
        settings = self._settings
        try:
            root = self._end.login(settings.root_user, settings.root_password)
        except StoreError as problem:
            if "certificate" in str(problem):
                return False
            raise
        with root:
            root.execute("SET SESSION sql_log_bin = 0")
            for user in (settings.admin_user, settings.replication_user):
                root.execute("DROP USER IF EXISTS %s@'%%'", (user,))
            if _plugin(root):
                root.execute("UNINSTALL PLUGIN clone")
            self._turn_off_gtids(root)
            for variable in (*FENCE, *TLS_FILES):
                root.execute(f"RESET PERSIST IF EXISTS {variable}")
            for variable, file in zip(TLS_FILES, ("ca.pem", "server-cert.pem", "server-key.pem"), strict=True):
                root.execute(f"SET GLOBAL {variable} = %s", (file,))
            # Ends nothing: sessions keep the encryption that they have.
            root.execute("ALTER INSTANCE RELOAD TLS")
            folder = str(root.value("SELECT @@global.datadir"))
        self._execute(folder, 'rm -f -- "$@"', *TLS_FILES.values())
        self._end.server.close()
        return True

    # TLS

    def _install_tls(self) -> bool:
        settings, reader = self._settings, self.reader()
        given = dict(zip(TLS_FILES, (settings.ca, settings.source_certificate, settings.source_key), strict=True))
        wanted = {variable: Path(path).read_text(encoding="utf-8") for variable, path in given.items()}
        folder = str(reader.value("SELECT @@global.datadir"))
        changed = False
        for variable, file in TLS_FILES.items():
            if self._read(folder, file) != wanted[variable]:
                self._execute(folder, _WRITE, file, given=wanted[variable])
                changed = True
        for variable, file in TLS_FILES.items():
            if reader.value(f"SELECT @@global.{variable}") != file:
                reader.query(f"SET PERSIST {variable} = '{file}'")
                changed = True
        if changed:
            reader.query("ALTER INSTANCE RELOAD TLS")
        return changed

    def _read(self, folder: str, file: str) -> str:
        return self._execute(folder, 'cat "$1" 2>/dev/null || true', file)

    def _execute(self, folder: str, script: str, *words: str, given: str | None = None) -> str:
        try:
            return self._docker.execute(
                self._container(), ["sh", "-c", f'cd "$0" && {script}', folder, *words], given=given
            )
        except DockerError as problem:
            raise StoreError(f"files of the MySQL container cannot be changed: {problem}") from problem

    def _container(self) -> str:
        project, service = self._settings.compose_project, self._settings.service
        try:
            found = self._docker.container(project, service)
        except DockerError as problem:
            raise StoreError(str(problem)) from problem
        if found is None or not found.running:
            raise StoreError(
                f"Tutor's container of service {service} does not run on the app server: start it by `tutor local "
                f"start -d {service}`"
            )
        return found.name

    # Accounts and plugin

    def _make_accounts(self, root: Connection) -> bool:
        settings = self._settings
        accounts = {
            "admin": (settings.admin_user, settings.admin_password),
            "replication": (settings.replication_user, settings.replication_password),
        }
        missing = {kind: one for kind, one in accounts.items() if not self._gets_in(*one)}
        if not missing:
            return False
        root.execute("SET SESSION sql_log_bin = 0")
        try:
            for kind, (user, password) in missing.items():
                root.execute("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s REQUIRE SSL", (user, password))
                root.execute("ALTER USER %s@'%%' IDENTIFIED BY %s REQUIRE SSL", (user, password))
                option = " WITH GRANT OPTION" if kind == "admin" else ""
                root.execute(f"GRANT {_GRANTS[kind]} TO %s@'%%'{option}", (user,))
                if kind == "replication":
                    root.execute("GRANT SELECT ON performance_schema.* TO %s@'%%'", (user,))
        finally:
            root.execute("SET SESSION sql_log_bin = 1")
        return True

    def _gets_in(self, user: str, password: str) -> bool:
        try:
            self._end.login(user, password).close()
        except MysqlError as problem:
            if problem.code != _DENIED:
                raise
            return False
        return True

    def _install_clone(self, root: Connection) -> bool:
        if _plugin(root):
            return False
        root.execute("INSTALL PLUGIN clone SONAME 'mysql_clone.so'")
        return True

    # GTIDs

    def _refuse(self, root: Connection) -> None:
        row = root.query(
            "SELECT @@global.log_bin AS log_bin, @@global.binlog_format AS format, @@global.binlog_row_image AS image"
        )[0]
        if not row["log_bin"] or row["format"] != "ROW" or row["image"] != "FULL":
            raise StoreError(
                "the MySQL container does not write a binary log that can be followed (log_bin, binlog_format=ROW and "
                "binlog_row_image=FULL are needed): remove what changes them from its configuration"
            )

    def _turn_on_gtids(self, root: Connection, progress: Progress) -> bool:
        mode = root.value("SELECT @@global.gtid_mode")
        consistency = root.value("SELECT @@global.enforce_gtid_consistency")
        kept = {
            row["variable_name"]
            for row in _lower(
                root.query("SELECT variable_name, variable_value FROM performance_schema.persisted_variables")
            )
            if row["variable_value"] == "ON"
        }
        if mode == "ON" and consistency == "ON" and {"gtid_mode", "enforce_gtid_consistency"} <= kept:
            return False
        if consistency != "ON":
            self._watch(root, progress)
        root.execute("SET PERSIST enforce_gtid_consistency = ON")
        for step in _MODES[_MODES.index(mode) + 1 :]:
            progress("source", {"step": f"gtid_mode={step}"})
            if step == "ON":
                self._await_no_anonymous(root)
            root.execute(f"SET PERSIST gtid_mode = {step}")
        root.execute("SET PERSIST gtid_mode = ON")
        return True

    def _watch(self, root: Connection, progress: Progress) -> None:
        """Let the server report, for a while, every statement that GTIDs would forbid."""
        begun = root.value("SELECT NOW(6)")
        root.execute("SET PERSIST enforce_gtid_consistency = WARN")
        ends = self._clock() + self._settings.limits.gtid_watch_seconds
        while self._clock() < ends:
            progress("source", {"step": "watching for statements that GTIDs would forbid"})
            said = root.value(
                "SELECT data FROM performance_schema.error_log WHERE logged > %s AND data LIKE "
                "'%%GTID%%consisten%%violat%%'"
                " AND prio = 'Warning' LIMIT 1",
                (begun,),
            )
            if said:
                root.execute("SET PERSIST enforce_gtid_consistency = OFF")
                root.execute("RESET PERSIST IF EXISTS enforce_gtid_consistency")
                raise StoreError(
                    f"the platform runs statements that replication with GTIDs forbids ({said}): find who does, stop "
                    "it, then "
                    "run the same playbook again"
                )
            self._wait(0.5)

    def _await_no_anonymous(self, root: Connection) -> None:
        ends = self._clock() + _ANONYMOUS_SECONDS
        while int(
            root.value(
                "SELECT variable_value FROM performance_schema.global_status"
                " WHERE variable_name = 'Ongoing_anonymous_transaction_count'"
            )
            or 0
        ):
            if self._clock() >= ends:
                raise StoreError(
                    f"transactions on the MySQL container stayed open for {_ANONYMOUS_SECONDS:.0f} s, so GTIDs "
                    "cannot be turned "
                    "on: end them, then run the same playbook again"
                )
            self._wait(0.2)

    def _turn_off_gtids(self, root: Connection) -> None:
        mode = root.value("SELECT @@global.gtid_mode")
        for step in reversed(_MODES[: _MODES.index(mode)]):
            root.execute(f"SET GLOBAL gtid_mode = {step}")
        root.execute("SET GLOBAL enforce_gtid_consistency = OFF")
        for variable in ("gtid_mode", "enforce_gtid_consistency"):
            root.execute(f"RESET PERSIST IF EXISTS {variable}")


def _plugin(root: Connection) -> bool:
    return bool(
        root.value("SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'clone' AND plugin_status = 'ACTIVE'")
    )


def _lower(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name.lower(): value for name, value in row.items()} for row in rows]
