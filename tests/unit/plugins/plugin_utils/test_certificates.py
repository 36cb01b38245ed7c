# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's folder of certificates: made once, made anew for a reason, refused with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.tutorops.scale.plugins.plugin_utils import certificate
from ansible_collections.tutorops.scale.plugins.plugin_utils.certificates import Provided, Wanted, provide
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

NOW = datetime.now(timezone.utc).replace(microsecond=0)
NAMES = ("IP:10.0.0.11", "IP:fd00::b", "DNS:db1.example.org")


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    """What a member of a cluster has by default."""
    folder = tmp_path / "tls"
    return Wanted(folder, folder / "ca.pem", folder / "ca.key", "mysql-db1", "mysql-db1", NAMES)


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file with its mode, time and content."""
    return {
        path.name: (path.stat().st_mode & 0o7777, path.stat().st_ctime_ns, path.read_bytes())
        for path in folder.rglob("*")
    }


def openssl(*arguments: object) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pem(key: object) -> bytes:
    protection = serialization.NoEncryption()
    form = serialization.PrivateFormat.TraditionalOpenSSL
    if isinstance(key, ed25519.Ed25519PrivateKey):
        form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, protection)  # type: ignore[attr-defined,no-any-return]


def own_authority(folder: Path, key: object, name: str = "Company") -> None:
    """An authority that somebody else made."""
    folder.mkdir(mode=0o700)
    made = certificate.new_authority(name, key, NOW, NOW + timedelta(days=900))
    (folder / "ca.pem").write_bytes(certificate.coded_certificate(made))
    (folder / "ca.key").write_bytes(pem(key))


def test_all_is_made_once(wanted: Wanted) -> None:
    first = provide(wanted, False, NOW)
    assert len(first.reasons) == 3 and "there is none" in first.reasons[2]
    assert first.before == "" and "IP:10.0.0.11, IP:fd00::b, DNS:db1.example.org" in first.after
    made = state(wanted.directory)
    assert {name: mode for name, (mode, _, _) in made.items()} == {
        "ca.key": 0o600,
        "ca.pem": 0o644,
        "mysql-db1.key": 0o600,
        "mysql-db1.crt": 0o644,
    }
    assert wanted.directory.stat().st_mode & 0o7777 == 0o700
    second = provide(wanted, False, NOW + timedelta(days=1))
    assert (second.reasons, second.before) == ([], second.after)
    assert (second.ca, second.certificate, second.key) == (first.ca, first.certificate, first.key)
    assert state(wanted.directory) == made, "a second look touches nothing"


def test_openssl_takes_it_for_what_it_is(wanted: Wanted) -> None:
    provide(wanted, False, NOW)
    folder = wanted.directory
    for purpose in ("sslserver", "sslclient"):
        for name in (("-verify_ip", "10.0.0.11"), ("-verify_ip", "fd00::b"), ("-verify_hostname", "db1.example.org")):
            openssl(
                "verify",
                "-x509_strict",
                "-purpose",
                purpose,
                *name,
                "-CAfile",
                folder / "ca.pem",
                folder / "mysql-db1.crt",
            )
    shown = openssl("x509", "-in", folder / "ca.pem", "-noout", "-text")
    assert "CA:TRUE, pathlen:0" in shown and "Certificate Sign, CRL Sign" in shown
    public = openssl("pkey", "-in", folder / "mysql-db1.key", "-pubout")
    assert openssl("x509", "-in", folder / "mysql-db1.crt", "-noout", "-pubkey") == public


def test_check_mode_on_a_bare_site_makes_nothing(wanted: Wanted) -> None:
    predicted = provide(wanted, True, NOW)
    assert not wanted.directory.exists()
    assert (predicted.ca, predicted.certificate, predicted.key) == (b"", b"", b"")
    done = provide(wanted, False, NOW)
    assert (predicted.reasons, predicted.after) == (done.reasons, done.after)


Change = Callable[[Wanted], Wanted]


def without(name: str) -> Change:
    def change(wanted: Wanted) -> Wanted:
        (wanted.directory / name).unlink()
        return wanted

    return change


def written(name: str, content: bytes) -> Change:
    def change(wanted: Wanted) -> Wanted:
        (wanted.directory / name).write_bytes(content)
        return wanted

    return change


def another_authority(wanted: Wanted) -> Wanted:
    (wanted.directory / "ca.pem").unlink()
    (wanted.directory / "ca.key").unlink()
    provide(replace(wanted, name="other"), False, NOW)
    return wanted


REASONS: list[tuple[str, Change, bool]] = [
    ("there is none", without("mysql-db1.crt"), True),
    ("there is none", written("mysql-db1.crt", b"not a certificate"), True),
    ("its key is gone", without("mysql-db1.key"), False),
    ("its key is gone", written("mysql-db1.key", b"not a key"), False),
    ("its key is gone", written("mysql-db1.key", pem(ec.generate_private_key(ec.SECP384R1()))), False),
    ("its key is gone or another one", written("mysql-db1.key", pem(ec.generate_private_key(ec.SECP256R1()))), True),
    ("its names change", lambda wanted: replace(wanted, alt_names=(*NAMES, "DNS:db1")), True),
    ("its names change", lambda wanted: replace(wanted, alt_names=NAMES[1:]), True),
    ("its names change", lambda wanted: replace(wanted, alt_names=()), True),
    ("its names change", lambda wanted: replace(wanted, common_name="db1"), True),
    ("the authority is another one", another_authority, True),
]


@pytest.mark.parametrize(("reason", "change", "keeps_key"), REASONS)
def test_it_is_made_anew_for_a_reason_and_only_then(
    wanted: Wanted, reason: str, change: Change, keeps_key: bool
) -> None:
    provide(wanted, False, NOW)
    wanted = change(wanted)
    key = wanted.directory / "mysql-db1.key"
    before = state(wanted.directory)
    predicted = provide(wanted, True, NOW)
    assert state(wanted.directory) == before, "check mode touches nothing"
    assert len(predicted.reasons) == 1 and reason in predicted.reasons[0]
    done = provide(wanted, False, NOW)
    assert (done.reasons, done.after) == (predicted.reasons, predicted.after)
    assert (before.get(key.name, (0, 0, b""))[2] == key.read_bytes()) is keeps_key
    openssl("verify", "-CAfile", wanted.ca_certificate, wanted.directory / "mysql-db1.crt")
    assert provide(wanted, False, NOW).reasons == []


def test_it_is_renewed_before_it_ends(wanted: Wanted) -> None:
    provide(wanted, False, NOW)
    kept = provide(wanted, False, NOW + timedelta(days=825 - 31))
    assert kept.reasons == []
    renewed = provide(wanted, False, NOW + timedelta(days=825 - 29))
    assert len(renewed.reasons) == 1 and f"ends on {NOW + timedelta(days=825):%Y-%m-%d}" in renewed.reasons[0]
    assert renewed.key == kept.key and renewed.certificate != kept.certificate
    assert provide(wanted, False, NOW + timedelta(days=900)).reasons == []


def test_order_of_names_and_length_of_life_are_no_reason(wanted: Wanted) -> None:
    provide(wanted, False, NOW)
    assert provide(replace(wanted, alt_names=NAMES[::-1], valid_days=400), False, NOW).reasons == []


def test_a_long_common_name_is_cut(wanted: Wanted) -> None:
    wanted = replace(wanted, common_name="x" * 100)
    assert f"common name: {'x' * 64}\n" in provide(wanted, False, NOW).after
    assert provide(wanted, False, NOW).reasons == []


def test_modes_are_kept(wanted: Wanted) -> None:
    provide(wanted, False, NOW)
    wanted.directory.chmod(0o755)
    (wanted.directory / "mysql-db1.key").chmod(0o644)
    assert len(provide(wanted, True, NOW).reasons) == 2
    assert (wanted.directory / "mysql-db1.key").stat().st_mode & 0o777 == 0o644
    assert len(provide(wanted, False, NOW).reasons) == 2
    assert (wanted.directory / "mysql-db1.key").stat().st_mode & 0o777 == 0o600
    assert wanted.directory.stat().st_mode & 0o777 == 0o700


# Authorities


def test_an_authority_that_ends_soon_is_refused_and_a_new_one_of_the_same_key_taken(wanted: Wanted) -> None:
    provide(wanted, False, NOW)
    late = NOW + timedelta(days=3650 - 29)
    before = state(wanted.directory)
    with pytest.raises(certificate.CertificateError, match="ends within 30 days, .* new certificate of the same key"):
        provide(wanted, False, late)
    assert state(wanted.directory) == before
    key = certificate.read_key(wanted.ca_key.read_bytes(), "")
    made = certificate.new_authority("tutorops certificate authority", key, late, late + timedelta(days=3650))
    wanted.ca_certificate.write_bytes(certificate.coded_certificate(made))
    again = provide(wanted, False, late)
    assert "ends on" in again.reasons[0], "only because it is old itself"
    # And while it is not, it stays.
    assert provide(wanted, False, late + timedelta(days=1)).reasons == []


def test_without_the_authority_s_key_what_is_there_stays_and_nothing_is_made(wanted: Wanted) -> None:
    provide(wanted, False, NOW)
    wanted.ca_key.unlink()
    assert provide(wanted, False, NOW).reasons == []
    for check in (True, False):
        with pytest.raises(certificate.CertificateError, match="ca.key is missing on the controller"):
            provide(replace(wanted, alt_names=("DNS:new",)), check, NOW)


def test_a_key_of_another_authority_is_refused(wanted: Wanted) -> None:
    provide(wanted, False, NOW)
    wanted.ca_key.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(certificate.CertificateError, match="ca.key is not the key of the authority"):
        provide(replace(wanted, alt_names=()), False, NOW)


def test_the_key_that_a_broken_run_left_becomes_the_authority_s(wanted: Wanted) -> None:
    wanted.directory.mkdir()
    key = pem(ec.generate_private_key(ec.SECP256R1()))
    wanted.ca_key.write_bytes(key)
    provide(wanted, False, NOW)
    assert wanted.ca_key.read_bytes() == key
    openssl("verify", "-CAfile", wanted.ca_certificate, wanted.directory / "mysql-db1.crt")


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_an_authority_of_one_s_own_signs(wanted: Wanted, kind: str) -> None:
    key = rsa.generate_private_key(65537, 2048) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    own_authority(wanted.directory, key)
    provide(wanted, False, NOW)
    assert provide(wanted, False, NOW).reasons == []
    openssl("verify", "-CAfile", wanted.ca_certificate, wanted.directory / "mysql-db1.crt")


def test_an_authority_elsewhere_is_only_read(wanted: Wanted, tmp_path: Path) -> None:
    own_authority(tmp_path / "pki", ec.generate_private_key(ec.SECP256R1()))
    wanted = replace(wanted, ca_certificate=tmp_path / "pki" / "ca.pem", ca_key=tmp_path / "pki" / "ca.key")
    before = state(tmp_path / "pki")
    given = provide(wanted, False, NOW)
    assert given.ca == before["ca.pem"][2] and state(tmp_path / "pki") == before
    assert sorted(path.name for path in wanted.directory.iterdir()) == ["mysql-db1.crt", "mysql-db1.key"]


def test_damaged_files_of_an_authority_are_refused(wanted: Wanted) -> None:
    provide(wanted, False, NOW)
    wanted.ca_key.write_text("nothing")
    with pytest.raises(certificate.CertificateError, match="ca.key holds no private key"):
        provide(replace(wanted, alt_names=()), False, NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    protection = serialization.BestAvailableEncryption(b"word")
    wanted.ca_key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    )
    with pytest.raises(certificate.CertificateError, match="ca.key is protected by a passphrase"):
        provide(replace(wanted, alt_names=()), False, NOW)
    wanted.ca_certificate.write_text("nothing")
    with pytest.raises(certificate.CertificateError, match="ca.pem holds no certificate"):
        provide(wanted, False, NOW)


# Certificates of one's own


@pytest.fixture
def own(wanted: Wanted, tmp_path: Path) -> Wanted:
    """A certificate that another authority made."""
    other = replace(wanted, directory=tmp_path / "other", name="own", alt_names=("DNS:own",))
    other = replace(other, ca_certificate=other.directory / "ca.pem", ca_key=other.directory / "ca.key")
    provide(other, False, NOW)
    wanted.directory.mkdir(mode=0o700)
    wanted.ca_certificate.write_bytes(other.ca_certificate.read_bytes())
    return replace(wanted, certificate=other.directory / "own.crt", key=other.directory / "own.key")


def test_one_s_own_is_passed_on_and_needs_no_key_of_an_authority(own: Wanted) -> None:
    assert own.certificate and own.key
    before = state(own.directory)
    given = provide(own, False, NOW)
    assert (given.certificate, given.key) == (own.certificate.read_bytes(), own.key.read_bytes())
    assert (given.ca, given.reasons) == (own.ca_certificate.read_bytes(), [])
    assert state(own.directory) == before


def test_refusals_of_one_s_own(own: Wanted, tmp_path: Path) -> None:
    def refused(wanted: Wanted, now: datetime = NOW) -> str:
        with pytest.raises(certificate.CertificateError) as error:
            provide(wanted, False, now)
        return str(error.value)

    assert "only the certificate of your own is named for mysql-db1" in refused(replace(own, key=None))
    assert "only the key of your own is named" in refused(replace(own, certificate=None))
    assert "absent.crt is missing" in refused(replace(own, certificate=tmp_path / "absent.crt"))
    assert "absent.key is missing" in refused(replace(own, key=tmp_path / "absent.key"))
    assert "ca.key is not the key of" in refused(replace(own, key=tmp_path / "other" / "ca.key"))
    assert "ended on" in refused(replace(own, renew_days=0), NOW + timedelta(days=826))
    own.ca_certificate.unlink()
    assert "nobody could verify" in refused(own)
    assert not own.ca_certificate.exists(), "an authority of ours would be the wrong one"


@pytest.mark.parametrize("name", ["db1", "DNS:dütsch.example", "IP:10.0.0.300", "IP:10.0.0.0/24", "RID:1.2.3", ""])
def test_names_that_are_none_are_refused_before_anything_is_made(wanted: Wanted, name: str) -> None:
    with pytest.raises(certificate.CertificateError, match=r"is no name for the certificate mysql-db1: write DNS:NAME"):
        provide(replace(wanted, alt_names=(name,)), False, NOW)
    assert not (wanted.directory / "mysql-db1.crt").exists()


# At the same time


def test_hosts_take_turns_and_share_one_authority(wanted: Wanted) -> None:
    program = (
        "import sys\n"
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from ansible_collections.tutorops.scale.plugins.plugin_utils.certificates import Wanted, provide\n"
        "folder, name = Path(sys.argv[1]), sys.argv[2]\n"
        "provide(Wanted(folder, folder / 'ca.pem', folder / 'ca.key', name, name), False)\n"
    )

    def run(name: str) -> int:
        paths = [
            str(Path(__file__).resolve().parents[4] / ".ansible" / "collections"),
            os.environ.get("PYTHONPATH", ""),
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        command = [sys.executable, "-c", program, str(wanted.directory), name]
        return subprocess.run(command, env=environment, check=False).returncode

    names = [f"db{number}" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, names)) == [0, 0, 0, 0]
    for name in names:
        openssl("verify", "-CAfile", wanted.ca_certificate, wanted.directory / f"{name}.crt")
    assert len(list(wanted.directory.iterdir())) == 10, "nothing is left half-made"


def test_the_key_is_not_in_what_a_traceback_would_show() -> None:
    assert "PRIVATE" not in repr(Provided(key=b"PRIVATE"))
