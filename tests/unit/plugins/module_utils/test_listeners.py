# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process listens where."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ansible_collections.tutorops.scale.plugins.module_utils.listeners import addresses, conflicts, listeners

#: As the kernel prints it; 0CEA is port 3306, 33FA 13306, 0050 80.
TABLE = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 101 1 0000 100 0 0 10 0
   1: 0A00000A:33FA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102 1 0000 100 0 0 10 0
   2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 103 1 0000 100 0 0 10 0
   3: 0A00000A:0050 0B00000A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 104 1 0000 100 0 0 10 0
"""


def proc(folder: Path) -> Path:
    """A /proc with a mysqld of the distribution and an HAProxy of the edge."""
    (folder / "net").mkdir()
    (folder / "net" / "tcp").write_text(TABLE)
    for pid, name, unit, inode in ((812, "mysqld", "mysql", 101), (900, "haproxy", "tutorops-edge", 102)):
        (folder / str(pid) / "fd").mkdir(parents=True)
        (folder / str(pid) / "fd" / "5").symlink_to(f"socket:[{inode}]")
        (folder / str(pid) / "comm").write_text(f"{name}\n")
        (folder / str(pid) / "cgroup").write_text(f"0::/system.slice/{unit}.service\n")
    return folder


def test_another_s_listener_is_in_the_way_and_named(tmp_path: Path) -> None:
    found = conflicts("10.0.0.10", [3306, 13306], "tutorops-edge.service", proc(tmp_path))
    assert [(one.port, one.process, one.pid, one.unit) for one in found] == [(3306, "mysqld", 812, "mysql.service")]


def test_the_edge_is_not_in_its_own_way(tmp_path: Path) -> None:
    folder = proc(tmp_path)
    assert conflicts("10.0.0.10", [13306], "tutorops-edge.service", folder) == []
    assert conflicts("10.0.0.10", [13306], "another.service", folder)


def test_another_address_and_a_connection_are_not_in_the_way(tmp_path: Path) -> None:
    assert conflicts("10.0.0.10", [80], "tutorops-edge.service", proc(tmp_path)) == []


def test_a_process_that_cannot_be_seen_is_in_the_way_all_the_same(tmp_path: Path) -> None:
    (found,) = conflicts("127.0.0.1", [80], "tutorops-edge.service", proc(tmp_path))
    assert "cannot be seen" in found.process


def test_this_process_finds_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert [(one.address, one.pid) for one in listeners() if one.port == port] == [("127.0.0.1", os.getpid())]


def test_addresses_are_those_of_this_host() -> None:
    found = addresses()
    assert "127.0.0.1" in found
    assert not [address for address in found if address.endswith((".0", ".255"))]
