# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An admin socket that answers what a test says."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

#: As HAProxy 3.0 prints it.
STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state \
bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr \
srv_agent_port
3 mysql_local 1 local 172.18.0.5 2 0 1 1 1 1 0 2 0 0 0 0 mysql.local.invalid 3306 - 0 0 - - 0
3 mysql_local 2 waiting 127.0.0.1 2 0 1 1 1 1 0 2 0 0 0 0 - 1 - 0 0 - - 0
4 mysql_cluster 1 db1 10.0.0.11 0 0 1 1 1 8 2 0 6 0 0 0 - 3306 - 0 9200 - - 9200
4 mysql_cluster 2 db2 10.0.0.12 2 1 1 1 1 8 2 0 14 0 0 0 - 3306 - 0 9200 - - 9200

"""


class Haproxy:
    """Answers each command with what a test says, and keeps what it was sent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[str, str] = {}
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client:
                line = client.recv(65536).decode().strip()
                self.heard.append(line)
                answer = next((text for start, text in self.answers.items() if line.startswith(start)), "\n")
                client.sendall(answer.encode())

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
