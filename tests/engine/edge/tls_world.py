# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An edge before a Redis whose members speak TLS, and before a MongoDB whose clients find their way by themselves."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from edge_world import CONTAINER, DB1, DB2, EDGE, World, free_port

GOOD = "role:master\r\nconnected_slaves:2\r\nmin_slaves_good_slaves:2\r\n"
LONELY = "role:master\r\nconnected_slaves:0\r\nmin_slaves_good_slaves:0\r\n"
REPLICA = "role:slave\r\nmaster_link_status:up\r\nmin_slaves_good_slaves:0\r\n"


class Authority:
    """Makes certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.path = folder / "ca.pem"
        self._certificate = self._sign("authority", self._key, x509.BasicConstraints(ca=True, path_length=None))
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(extension, critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def make(self, file: str, name: str = "") -> tuple[Path, Path]:
        """A certificate for a name, and its key, in files."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign("any", key, x509.SubjectAlternativeName([x509.DNSName(name or file)]))
        paths = self.folder / f"{file}.crt", self.folder / f"{file}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths


class RedisMember:
    """Speaks as much of Redis as a health check and a greeting need; a member by TLS, and asks for a certificate."""

    def __init__(self, name: str, address: str, port: int, context: ssl.SSLContext | None = None) -> None:
        self.name = name
        self.replication = GOOD
        self.knows = ""
        self.users: set[str] = set()
        self._context = context
        self._socket = socket.create_server((address, port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._speak, args=(client,), daemon=True).start()

    def _speak(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            client = self._context.wrap_socket(plain, server_side=True) if self._context else plain
            with client, client.makefile("rb") as lines:
                for line in lines:
                    client.sendall(self._answer(line.decode().split()).encode())

    def _answer(self, words: list[str]) -> str:
        if words[0] == "AUTH":
            self.users.add(words[1])
            if self.knows and words[1] != self.knows:
                return "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
            return "+OK\r\n"
        if words == ["INFO", "replication"]:
            text = f"# Replication\r\n{self.replication}"
            return f"${len(text)}\r\n{text}\r\n"
        return f"+{self.name}\r\n"

    def close(self) -> None:
        self._socket.close()


class TlsWorld(World):
    """The world of an edge, with a Redis and a MongoDB in it."""

    def __init__(self, folder: Path, checkout: Path, run: Callable[..., str]) -> None:
        super().__init__(folder, checkout, run)
        tls = self.paths.etc / "tls"
        tls.mkdir()
        self.authority = Authority(tls)
        self.authority.make("redis-source")
        self.redis_port, self.redis_source_port, self.way_back_port = free_port(), free_port(), free_port()
        self.mongodb_port, self.mongodb_source_port = free_port(), free_port()
        self.members_port = free_port(DB1)
        self.members: dict[str, RedisMember] = {}
        places = [{"name": name, "address": address} for name, address in (("db1", DB1), ("db2", DB2))]
        self.stores["redis"] = {
            "port": self.redis_port,
            "service": "redis",
            "service_port": self.server_port,
            "source_port": self.redis_source_port,
            "way_back_port": self.way_back_port,
            "hold": "both",
            "tls_source": True,
            "tls_cluster": True,
            "check": {"kind": "redis", "user": "watcher"},
            "members": [{**place, "port": self.members_port} for place in places],
        }
        self.stores["mongodb"] = {
            "port": self.mongodb_port,
            "service": "mongodb",
            "service_port": self.server_port,
            "source_port": self.mongodb_source_port,
            "source_clients": True,
            "hold": "requests",
            "members": [{**place, "port": self.server_port} for place in places],
        }
        # Of all addresses of this machine, that of the edge alone is a client's.
        self.paths.clients.write_text(f"{EDGE}/32\n", encoding="utf-8")
        self.write_pointer("cluster", "redis")
        self.write_pointer("local", "mongodb")
        self.docker.found = CONTAINER
        self.configure()

    def member(self, name: str, address: str, authority: Authority | None = None, calls: str = "") -> RedisMember:
        """Have a member run."""
        pair = (authority or self.authority).make(f"{name}-{calls}", calls or name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        context.load_verify_locations(self.authority.path)
        context.verify_mode = ssl.CERT_REQUIRED
        self.members[name] = RedisMember(name, address, self.members_port, context)
        return self.members[name]

    def container(self) -> RedisMember:
        """Have Tutor's container run."""
        self.members["local"] = RedisMember("local", CONTAINER, self.server_port)
        return self.members["local"]

    def stop(self) -> None:
        super().stop()
        for one in self.members.values():
            one.close()


def ask(port: int, source: str = EDGE, context: ssl.SSLContext | None = None) -> str:
    """Say something to a port of the edge, and return the answer; empty when the connection is closed."""
    try:
        with socket.create_connection((EDGE, port), 15, (source, 0)) as plain:
            channel = context.wrap_socket(plain) if context is not None else plain
            channel.sendall(b"PING\r\n")
            return channel.recv(100).decode().partition("\n")[0].strip()
    except OSError:
        return ""
