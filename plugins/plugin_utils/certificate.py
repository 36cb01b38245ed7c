# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One certificate and one key: made, read, compared."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    HAS_CRYPTOGRAPHY = True
except ImportError:  # pragma: no cover - ansible-core depends on it
    HAS_CRYPTOGRAPHY = False

#: Clocks of hosts may be behind the controller's.
EARLIER = timedelta(hours=1)

KINDS: Mapping[str, Callable[[str], x509.GeneralName]] = {
    "DNS": lambda text: x509.DNSName(text),
    "IP": lambda text: x509.IPAddress(ipaddress.ip_address(text)),
    "URI": lambda text: x509.UniformResourceIdentifier(text),
    "email": lambda text: x509.RFC822Name(text),
}

#: What a key may be used for, as X.509 knows it.
USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


class CertificateError(Exception):
    """Why there can be no certificate, as a sentence."""


# Keys


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key, of the one kind that is made here."""
    return ec.generate_private_key(ec.SECP256R1())


def is_ours(key: Any) -> bool:
    """Whether a key is of the kind that is made here."""
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)


def read_key(content: bytes, where: object) -> Any:
    """Read a private key of any kind."""
    try:
        return serialization.load_pem_private_key(content, password=None)
    except TypeError as error:
        raise CertificateError(f"the key {where} is protected by a passphrase: put it there without one.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError(f"{where} holds no private key in PEM: put one there.") from error


def coded_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give a key as its file holds it."""
    form, protection = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, protection)


def is_pair(certificate: x509.Certificate, key: Any) -> bool:
    """Whether a certificate is that of a key."""
    return _public(certificate.public_key()) == _public(key.public_key())


def _public(key: Any) -> bytes:
    coded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return coded


# Certificates


def new_authority(name: str, key: Any, now: datetime, until: datetime) -> x509.Certificate:
    """Make the certificate of an authority, signed by itself."""
    builder = _builder(_subject(name), key.public_key(), now, until)
    builder = builder.issuer_name(_subject(name))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(_uses("key_cert_sign", "crl_sign"), critical=True).sign(key, _digest(key))


def new_certificate(
    common_name: str,
    names: Sequence[x509.GeneralName],
    key: Any,
    authority: x509.Certificate,
    issuer: Any,
    now: datetime,
    until: datetime,
) -> x509.Certificate:
    """Make the certificate of a host, signed by its authority."""
    builder = _builder(_subject(common_name), key.public_key(), now, until).issuer_name(authority.subject)
    for use, critical in zip(_host_uses(), (True, False), strict=True):
        builder = builder.add_extension(use, critical=critical)
    builder = builder.add_extension(_identifier(authority), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer, _digest(issuer))


def read_certificate(content: bytes, where: object) -> x509.Certificate:
    """Read a certificate, the first one where there are several."""
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise CertificateError(f"{where} holds no certificate in PEM: put one there.") from error


def coded_certificate(certificate: x509.Certificate) -> bytes:
    """Give a certificate as its file holds it."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def ends(certificate: x509.Certificate) -> datetime:
    """Tell when a certificate ends; older releases of cryptography, such as Ubuntu 24.04's, tell it in another way."""
    aware = getattr(certificate, "not_valid_after_utc", None)
    return aware if aware is not None else certificate.not_valid_after.replace(tzinfo=timezone.utc)


def is_from(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority has made a certificate."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def is_named(certificate: x509.Certificate, common_name: str, names: Iterable[x509.GeneralName]) -> bool:
    """Whether a certificate stands for these names and no other."""
    return certificate.subject == _subject(common_name) and set(_names(certificate)) == set(names)


def is_for_hosts(certificate: x509.Certificate) -> bool:
    """Whether servers and clients may use a certificate, and for nothing else."""
    found = (_extension(certificate, kind) for kind in (x509.KeyUsage, x509.ExtendedKeyUsage))
    return tuple(found) == _host_uses()


def _uses(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in USES})


def _host_uses() -> tuple[x509.KeyUsage, x509.ExtendedKeyUsage]:
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return _uses("digital_signature", "key_agreement"), x509.ExtendedKeyUsage(purposes)


def _builder(subject: x509.Name, public: Any, now: datetime, until: datetime) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - EARLIER).not_valid_after(until)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _identifier(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = _extension(authority, x509.SubjectKeyIdentifier)
    if own is None:
        public: Any = authority.public_key()
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _digest(key: Any) -> Any:
    return None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()


def _extension(certificate: x509.Certificate, kind: Any) -> Any:
    with contextlib.suppress(x509.ExtensionNotFound):
        return certificate.extensions.get_extension_for_class(kind).value
    return None


# Names


def general_name(text: str, where: str) -> x509.GeneralName:
    """Read a name as roles write it, such as ``IP:10.0.0.11``."""
    kind, _, value = text.partition(":")
    try:
        return KINDS[kind](value)
    except (KeyError, ValueError) as error:
        raise CertificateError(
            f"{text!r} is no name for the certificate {where}: write DNS:NAME, in ASCII, or IP:ADDRESS."
        ) from error


def described(certificate: x509.Certificate) -> str:
    """Give what a diff shows of a certificate."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return description(str(found[0].value) if found else "", _names(certificate), ends(certificate))


def description(common_name: str, names: Iterable[x509.GeneralName], until: datetime) -> str:
    """Give what a diff shows of a certificate that may not be made yet."""
    listed = ", ".join(map(_shown, names))
    return f"common name: {common_name}\nnames: {listed}\nvalid until: {until:%Y-%m-%d}\n"


def _shown(name: x509.GeneralName) -> str:
    kind = {x509.DNSName: "DNS", x509.IPAddress: "IP", x509.RFC822Name: "email"}.get(type(name), "URI")
    return f"{kind}:{name.value}"


def _names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    return list(_extension(certificate, x509.SubjectAlternativeName) or [])


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
