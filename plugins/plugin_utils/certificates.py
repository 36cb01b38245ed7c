# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An authority and the certificates that it gives to hosts, in a folder of the controller.

Keys are made here and nowhere else, so that the disk of no host ever holds the authority's key. What is right stays;
a certificate is made anew when it ends soon, or when its key, its names or its authority are others than wanted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.tutorops.scale.plugins.module_utils.paths import write_file

from .certificate import (
    CertificateError,
    coded_certificate,
    coded_key,
    described,
    description,
    ends,
    general_name,
    is_for_hosts,
    is_from,
    is_named,
    is_ours,
    is_pair,
    new_authority,
    new_certificate,
    new_key,
    read_certificate,
    read_key,
)

if TYPE_CHECKING:
    from cryptography import x509

AUTHORITY_NAME = "tutorops certificate authority"
AUTHORITY_LIFE = timedelta(days=3650)


@dataclass(frozen=True)
class Wanted:
    """What a host is to have, and where the controller keeps it."""

    directory: Path
    ca_certificate: Path
    ca_key: Path
    name: str
    common_name: str
    alt_names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    valid_days: int = 825
    renew_days: int = 30


@dataclass
class Provided:
    """What there is for the host; empty where check mode leaves something to be made."""

    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    before: str = ""
    after: str = ""
    reasons: list[str] = field(default_factory=list)
    """What changed on the controller, or would, and why."""


def provide(wanted: Wanted, check: bool, now: datetime | None = None) -> Provided:
    """Give a host's certificate, its key and its authority's certificate; make what is missing or past its time."""
    if bool(wanted.certificate) != bool(wanted.key):
        one, other = ("certificate", "key") if wanted.certificate else ("key", "certificate")
        raise CertificateError(f"only the {one} of your own is named for {wanted.name}: name its {other}, too.")
    folder = Folder(wanted, check, now or datetime.now(timezone.utc))
    with folder.alone():
        folder.provide()
    return folder.provided


class Folder:
    """The controller's folder, for one host."""

    def __init__(self, wanted: Wanted, check: bool, now: datetime) -> None:
        self.provided = Provided()
        self._wanted = wanted
        self._check = check
        self._now = now
        self._soon = now + timedelta(days=wanted.renew_days)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder: the hosts of a play, and other plays, make certificates at the same time."""
        path = self._wanted.directory
        if not path.is_dir():
            self.provided.reasons.append(f"{path} is made")
            if self._check:
                yield
                return
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._keep_mode(path, 0o700)
        handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def provide(self) -> None:
        """Look, and make what is missing."""
        authority = self._authority()
        if self._wanted.certificate and self._wanted.key:
            self._own(self._wanted.certificate, self._wanted.key)
        else:
            self._issued(authority)

    def _authority(self) -> x509.Certificate | None:
        """Give the authority's certificate, of a new one where there is none; None where check mode would make it."""
        path, key_path = self._wanted.ca_certificate, self._wanted.ca_key
        if not path.exists():
            if self._wanted.certificate:
                raise CertificateError(
                    f"{path} is missing on the controller, so nobody could verify {self._wanted.certificate}: put the "
                    "certificate of its authority there."
                )
            self.provided.reasons.append(f"the authority {path} is made")
            if self._check:
                return None
            # A key without its certificate was left by a run that broke off, or put there to be used.
            key = read_key(key_path.read_bytes(), key_path) if key_path.exists() else _make_key(key_path)
            made = new_authority(AUTHORITY_NAME, key, self._now, self._now + AUTHORITY_LIFE)
            _write(path, coded_certificate(made), 0o644)
        self.provided.ca = path.read_bytes()
        authority = read_certificate(self.provided.ca, path)
        if ends(authority) < self._soon:
            raise CertificateError(
                f"the certificate authority {path} ends within {self._wanted.renew_days} days, and every certificate "
                "with it: put a new certificate of the same key there, and run again."
            )
        return authority

    def _own(self, path: Path, key_path: Path) -> None:
        """Take a certificate that somebody else made, if a server could use it."""
        for file in (path, key_path):
            if not file.exists():
                raise CertificateError(f"{file} is missing on the controller: correct its name, or put the file there.")
        self.provided.certificate, self.provided.key = path.read_bytes(), key_path.read_bytes()
        certificate = read_certificate(self.provided.certificate, path)
        if not is_pair(certificate, read_key(self.provided.key, key_path)):
            raise CertificateError(f"{key_path} is not the key of {path}: name the two that belong together.")
        if ends(certificate) < self._now:
            raise CertificateError(
                f"the certificate {path} ended on {ends(certificate):%Y-%m-%d}: put a new one there."
            )

    def _issued(self, authority: x509.Certificate | None) -> None:
        """Give the certificate that was made last time, or make another one."""
        wanted = self._wanted
        path, key_path = (wanted.directory / f"{wanted.name}.{ending}" for ending in ("crt", "key"))
        common_name = wanted.common_name[:64]  # as long as one may be
        names = [general_name(text, wanted.name) for text in wanted.alt_names]
        certificate, key = _found_certificate(path), _found_key(key_path)
        self.provided.before = described(certificate) if certificate else ""
        reason = self._shortcoming(certificate, key, authority, common_name, names)
        if reason is None:
            self.provided.after = self.provided.before
            self._keep_mode(path, 0o644)
        else:
            until = self._now + timedelta(days=wanted.valid_days)
            issuer = self._issuer(authority)
            self.provided.reasons.append(f"the certificate {path} is made, because {reason}")
            self.provided.after = description(common_name, names, until)
            if self._check or authority is None:
                return
            # The key goes first: one without its certificate is noticed by the next run.
            key = key or _make_key(key_path)
            made = new_certificate(common_name, names, key, authority, issuer, self._now, until)
            _write(path, coded_certificate(made), 0o644)
        self._keep_mode(key_path, 0o600)
        self.provided.certificate, self.provided.key = path.read_bytes(), key_path.read_bytes()

    def _shortcoming(
        self,
        certificate: x509.Certificate | None,
        key: Any,
        authority: x509.Certificate | None,
        common_name: str,
        names: list[x509.GeneralName],
    ) -> str | None:
        """Why a certificate cannot stay; None when it can."""
        if certificate is None:
            return "there is none"
        if key is None or not is_pair(certificate, key):
            return "its key is gone or another one"
        if ends(certificate) < self._soon:
            return f"the present one ends on {ends(certificate):%Y-%m-%d}"
        if not is_named(certificate, common_name, names):
            return "its names change"
        if not is_for_hosts(certificate):
            return "its purposes change"
        if authority is None or not is_from(certificate, authority):
            return "the authority is another one"
        return None

    def _issuer(self, authority: x509.Certificate | None) -> Any:
        """Give the authority's key; None where check mode would make it."""
        path = self._wanted.ca_key
        if authority is None:
            return None
        if not path.exists():
            raise CertificateError(
                f"{path} is missing on the controller, so the certificate {self._wanted.name} cannot be made: put the "
                "authority's key there, or name a certificate of your own for the host."
            )
        key = read_key(path.read_bytes(), path)
        if not is_pair(authority, key):
            raise CertificateError(
                f"{path} is not the key of the authority {self._wanted.ca_certificate}: put the two there that belong "
                "together."
            )
        return key

    def _keep_mode(self, path: Path, mode: int) -> None:
        if path.stat().st_mode & 0o7777 != mode:
            self.provided.reasons.append(f"{path} gets the mode {mode:04o}")
            if not self._check:
                path.chmod(mode)


def _found_certificate(path: Path) -> x509.Certificate | None:
    """Give a certificate that was made here; None where it is missing or damaged."""
    with contextlib.suppress(FileNotFoundError, CertificateError):
        return read_certificate(path.read_bytes(), path)
    return None


def _found_key(path: Path) -> Any:
    """Give the key of a certificate that was made here; None where it is missing, damaged or of another kind."""
    with contextlib.suppress(FileNotFoundError, CertificateError):
        key = read_key(path.read_bytes(), path)
        return key if is_ours(key) else None
    return None


def _make_key(path: Path) -> Any:
    key = new_key()
    _write(path, coded_key(key), 0o600)
    return key


def _write(path: Path, pem: bytes, mode: int) -> None:
    write_file(path, pem.decode("ascii"), mode, durable=True)
