# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A door as small as it can be: a TCP relay of this process with a pointer in memory."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading

from ansible_collections.tutorops.scale.plugins.module_utils.mysql_cluster import ClusterEnd
from ansible_collections.tutorops.scale.plugins.module_utils.mysql_local import LocalEnd
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import CLUSTER, LOCAL, StoreError


class RelayDoor:
    """Implements stores.base.Door for one port of this host."""

    def __init__(self) -> None:
        self.serving = self.target = LOCAL
        self.local: LocalEnd | None = None
        self.cluster: ClusterEnd | None = None
        self._free = threading.Event()
        self._free.set()
        self._clients: set[socket.socket] = set()
        self._servers: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def pointer(self) -> str:
        return self.serving

    def decide(self, end: str) -> None:
        self.serving = end

    def hold(self, seconds: float = 6.0) -> None:
        self._free.clear()

    def release(self) -> None:
        self._free.set()

    def connections(self) -> int:
        return len(self._clients)

    def drop(self) -> None:
        for one in (*self._clients, *self._servers):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def point(self, end: str) -> None:
        self.target = end

    def _address(self) -> str:
        assert self.local is not None and self.cluster is not None
        return self.cluster.primary().address if self.target == CLUSTER else self.local.address()

    def _accept(self) -> None:
        while True:
            self._free.wait()
            client, _ = self._listener.accept()
            self._free.wait()
            # Counted before anything is sent for it: one that is still on its way is work in flight.
            self._clients.add(client)
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client:
            try:
                with socket.create_connection((self._address(), 3306), 3) as server:
                    self._servers.add(server)
                    try:
                        self._shovel(client, server)
                    finally:
                        self._servers.discard(server)
            except (OSError, StoreError):
                return
            finally:
                self._clients.discard(client)

    @staticmethod
    def _shovel(client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)
