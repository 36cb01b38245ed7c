"""What the role promises, read from every member; nothing is changed here."""

from __future__ import annotations

import os
import ssl
from typing import Any

import pytest

testinfra_hosts = [f"docker://{os.environ['TUTOROPS_LAB_PREFIX']}-data-{number}" for number in (1, 2, 3)]
SUBNET = os.environ["TUTOROPS_LAB_SUBNET"].rsplit(".", 1)[0]
ADDRESSES = [f"{SUBNET}.{number}" for number in (11, 12, 13)]
ADMIN, HEALTH, SHOP = (
    ("tutorops", "admin-of-the-lab-only"),
    ("tutorops_health", "any"),
    ("shop", "user-of-the-lab-only"),
)


def ask(host: Any, *command: str, who: tuple[str, str] = ADMIN, port: int = 6379) -> str:
    """Ask the member on a host; the password goes by the environment."""
    address = host.interface("eth0").addresses[0]
    words = " ".join(f"'{word}'" for word in command)
    cli = f"redis-cli --no-auth-warning --tls --cacert /etc/redis/tls/ca.pem -h {address} -p {port} --user {who[0]}"
    return str(host.run(f"REDISCLI_AUTH={who[1]} {cli} {words}").stdout).strip()


def section(host: Any, name: str) -> dict[str, str]:
    """A section of INFO."""
    lines = ask(host, "info", name, who=HEALTH).splitlines()
    return dict(line.strip().split(":", 1) for line in lines if ":" in line)


def test_members_replicate(host):
    found = section(host, "replication")
    if found["role"] == "master":
        assert (found["connected_slaves"], found["min_slaves_good_slaves"]) == ("2", "2")
    else:
        assert found["master_link_status"] == "up"
        assert found["master_host"] in ADDRESSES


def test_every_sentinel_watches_the_same_primary(host):
    primary = ask(host, "sentinel", "get-master-addr-by-name", "openedx", port=26379).split()[0]
    assert primary in ADDRESSES
    mine = section(host, "replication")
    assert primary == (mine["master_host"] if mine["role"] == "slave" else host.interface("eth0").addresses[0])
    known = ask(host, "sentinel", "master", "openedx", port=26379).split()
    assert (known[known.index("num-slaves") + 1], known[known.index("num-other-sentinels") + 1]) == ("2", "2")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "volatile-lru"),
        ("min-replicas-to-write", "1"),
        ("tls-replication", "yes"),
        ("port", "0"),
    ],
)
def test_settings_run_as_they_are_kept(host, setting, value):
    assert ask(host, "config", "get", setting).split() == [setting, value]
    assert f"{setting} {value}" in host.file("/etc/redis/redis.conf").content_string.splitlines()


def test_queued_tasks_cannot_be_evicted(host):
    assert ask(host, "config", "get", "maxmemory-policy").split()[1].startswith("volatile-")


def test_nobody_enters_without_an_account_or_without_tls(host):
    assert ask(host, "ping", who=("default", "anything")).startswith(("WRONGPASS", "NOAUTH", "AUTH failed"))
    address = host.interface("eth0").addresses[0]
    assert "PONG" not in host.run(f"redis-cli -h {address} ping").stdout


def test_the_health_account_may_only_look(host):
    assert "NOPERM" in ask(host, "get", "kept", who=HEALTH)
    assert "NOPERM" in ask(host, "config", "get", "maxmemory", who=HEALTH)


def test_the_user_may_do_all_but_administrate(host):
    assert "NOPERM" in ask(host, "config", "get", "maxmemory", who=SHOP)
    assert "NOPERM" not in ask(host, "get", "kept", who=SHOP)


def test_certificates_name_the_member(host):
    key = host.file("/etc/redis/tls/member.key")
    assert (key.user, key.mode) == ("redis", 0o600)
    address = host.interface("eth0").addresses[0]
    authority = ssl.create_default_context(cadata=host.file("/etc/redis/tls/ca.pem").content_string)
    certificate = ssl.get_server_certificate((address, 6379), ca_certs=None)
    assert authority.cert_store_stats()["x509_ca"] == 1
    assert "BEGIN CERTIFICATE" in certificate


def test_no_password_is_readable(host):
    for path in (
        "/etc/redis/users.acl",
        "/etc/redis/sentinel.acl",
        "/etc/redis/redis.conf",
        "/etc/redis/sentinel.conf",
    ):
        assert host.file(path).mode & 0o007 == 0


def test_the_firewall_guards_its_ports_and_nothing_else(host):
    rules = host.check_output("nft list table inet tutorops_redis")
    assert "tcp dport { 6379, 26379 } reject with tcp reset" in rules
    assert "policy accept" in rules
    assert host.service("tutorops-firewall.service").is_enabled


def test_units_run_and_start_at_boot(host):
    for unit in ("redis-server", "redis-sentinel"):
        assert host.service(unit).is_running
        assert host.service(unit).is_enabled
