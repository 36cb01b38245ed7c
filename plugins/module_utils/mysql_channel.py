# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication channels: from the container to the cluster and, after the cutover, back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from . import mysql_gtid as gtid
from .mysql_client import MysqlError
from .mysql_link import Link
from .stores.base import StoreError

#: The cluster follows the container.
MIGRATE = "migrate"
#: The container follows the cluster: the way back.
ROLLBACK = "rollback"
#: How long a receiver hears nothing until it connects anew (replica_net_timeout); an origin that lost its power says no
#: farewell, and the server's own default is a minute. Heartbeats come every second.
_SILENCE_SECONDS = 5

_STATE = """
SELECT c.host, c.port, s.service_state AS receiver, a.service_state AS applier, s.received_transaction_set AS received,
       s.count_received_heartbeats AS heartbeats,
       COALESCE(NULLIF(s.last_error_message, ''),
                (SELECT MAX(w.last_error_message) FROM performance_schema.replication_applier_status_by_worker w
                 WHERE w.channel_name = c.channel_name AND w.last_error_number <> 0),
                (SELECT MAX(o.last_error_message) FROM performance_schema.replication_applier_status_by_coordinator o
                 WHERE o.channel_name = c.channel_name AND o.last_error_number <> 0), '') AS error
FROM performance_schema.replication_connection_configuration c
JOIN performance_schema.replication_connection_status s USING (channel_name)
JOIN performance_schema.replication_applier_status a USING (channel_name)
WHERE c.channel_name = %s
"""


@dataclass(frozen=True)
class Origin:
    """Where a channel gets its transactions: one server, or with ``group`` whoever is the primary of that group."""

    host: str
    port: int
    user: str
    password: str
    group: str = ""


@dataclass(frozen=True)
class ChannelState:
    """A channel as its server sees it."""

    host: str
    port: int
    receiver: str
    applier: str
    received: str
    heartbeats: int
    error: str

    @property
    def runs(self) -> bool:
        """Whether both threads work; a receiver that is connecting does not."""
        return self.receiver == "ON" and self.applier == "ON"


def look(server: Link, channel: str) -> ChannelState | None:
    """The state of a channel, or None when the server has none of that name."""
    rows = server.query(_STATE, (channel,))
    if not rows:
        return None
    row = rows[0]
    return ChannelState(
        host=row["host"],
        port=int(row["port"]),
        receiver=row["receiver"],
        applier=row["applier"],
        received=gtid.plain(row["received"]),
        heartbeats=int(row["heartbeats"]),
        error=row["error"] or "",
    )


def define(server: Link, channel: str, origin: Origin, leads: bool = True) -> None:
    """Make a channel that finds its own place and goes on after a failover of either side; does not start it.

    A secondary of a group (``leads`` is false) has to have the channel, but only the primary can say how it fails over.
    """
    forget(server, channel, leads)
    server.execute(
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST=%s, SOURCE_PORT=%s, SOURCE_USER=%s, SOURCE_PASSWORD=%s,"
        " SOURCE_SSL=1, SOURCE_SSL_CA=%s, SOURCE_SSL_VERIFY_SERVER_CERT=1, SOURCE_AUTO_POSITION=1,"
        " SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=10, SOURCE_HEARTBEAT_PERIOD=1,"
        " REQUIRE_TABLE_PRIMARY_KEY_CHECK=GENERATE FOR CHANNEL %s",
        (origin.host, origin.port, origin.user, origin.password, server.value("SELECT @@global.ssl_ca"), channel),
    )
    if leads:
        server.execute("CHANGE REPLICATION SOURCE TO SOURCE_CONNECTION_AUTO_FAILOVER=1 FOR CHANNEL %s", (channel,))


def list_origin(server: Link, channel: str, origin: Origin) -> None:
    """Tell whom a channel may turn to, unless it knows; a group hands this on to all its members."""
    if origin.group:
        server.query(
            "SELECT asynchronous_connection_failover_add_managed(%s, 'GroupReplication', %s, %s, %s, '', 80, 60)",
            (channel, origin.group, origin.host, origin.port),
        )
    elif not server.value(
        "SELECT 1 FROM performance_schema.replication_asynchronous_connection_failover"
        " WHERE channel_name = %s AND host = %s AND port = %s",
        (channel, origin.host, origin.port),
    ):
        server.query(
            "SELECT asynchronous_connection_failover_add_source(%s, %s, %s, '', 50)",
            (channel, origin.host, origin.port),
        )


def start(server: Link, channel: str) -> None:
    """Start both threads; harmless when they run."""
    if int(server.value("SELECT @@global.replica_net_timeout")) > _SILENCE_SECONDS:
        server.execute("SET GLOBAL replica_net_timeout = %s", (_SILENCE_SECONDS,))
    server.execute("START REPLICA FOR CHANNEL %s", (channel,))


def forget(server: Link, channel: str, leads: bool = True) -> None:
    """Stop a channel and remove it, with the list of whom it may turn to; harmless without one."""
    if not server.value(
        "SELECT 1 FROM performance_schema.replication_connection_configuration WHERE channel_name = %s", (channel,)
    ):
        return
    server.execute("STOP REPLICA FOR CHANNEL %s", (channel,))
    if leads:
        _forget_origins(server, channel)
    server.execute("RESET REPLICA ALL FOR CHANNEL %s", (channel,))


def _forget_origins(server: Link, channel: str) -> None:
    for row in server.query(
        "SELECT DISTINCT managed_name AS name FROM"
        " performance_schema.replication_asynchronous_connection_failover_managed WHERE channel_name = %s",
        (channel,),
    ):
        server.query("SELECT asynchronous_connection_failover_delete_managed(%s, %s)", (channel, row["name"]))
    for row in server.query(
        "SELECT host AS host, port AS port FROM performance_schema.replication_asynchronous_connection_failover"
        " WHERE channel_name = %s",
        (channel,),
    ):
        server.query(
            "SELECT asynchronous_connection_failover_delete_source(%s, %s, %s, '')", (channel, row["host"], row["port"])
        )


def await_progress(
    server: Link,
    channel: str,
    position: str,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until a channel is seen to bring something: a receiver may say ON for hours and receive nothing."""
    begun = look(server, channel)
    ends = clock() + seconds
    while True:
        state = look(server, channel)
        if state is not None and begun is not None and state.runs:
            heard = state.received != begun.received or state.heartbeats > begun.heartbeats
            if heard or not missing(server, position):
                return
        if clock() >= ends:
            raise StoreError(f"channel {channel} brings nothing after {seconds:.0f} s: {trouble(state)}")
        wait(0.1)


def trouble(state: ChannelState | None) -> str:
    """Why a channel does not run, in words."""
    if state is None:
        return "it is not defined"
    if state.error:
        return state.error
    return f"its receiver is {state.receiver}, its applier is {state.applier}"


def missing(server: Link, position: str) -> str:
    """What of a position a server has not applied yet."""
    return gtid.plain(server.value("SELECT GTID_SUBTRACT(%s, @@global.gtid_executed)", (position,)))


def reach(
    server: Link, position: str, seconds: float, clock: Callable[[], float] = time.monotonic, answer: float = 4.0
) -> bool:
    """Wait until a server has applied a position; every single wait is shorter than the connection's own time-out."""
    ends = clock() + seconds
    while True:
        left = max(ends - clock(), 0.0)
        try:
            late = server.value("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)", (position, max(min(left, answer), 0.001)))
        except MysqlError as problem:
            raise StoreError(f"it cannot be awaited what a server applies: {problem}") from problem
        if not late:
            return True
        if clock() >= ends:
            return False
