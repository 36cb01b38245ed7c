"""What the role promises, read from every member; nothing is changed here."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request

import pytest

testinfra_hosts = [f"docker://{os.environ['TUTOROPS_LAB_PREFIX']}-data-{number}" for number in (1, 2, 3)]
SUBNET = os.environ["TUTOROPS_LAB_SUBNET"].rsplit(".", 1)[0]
ADDRESSES = [f"{SUBNET}.{number}" for number in (11, 12, 13)]


def answer(address: str, path: str) -> tuple[int, dict[str, object]]:
    """What the health endpoint of a member says."""
    try:
        with urllib.request.urlopen(f"http://{address}:9200/{path}", timeout=5) as found:
            return found.status, json.load(found)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def mysql(host, statement: str) -> str:
    """Ask a member as root, by its socket."""
    return host.check_output(f'mysql -ututorops_admin -Nse "{statement}"')


def test_exactly_one_member_takes_writes():
    codes = [answer(address, "primary")[0] for address in ADDRESSES]
    assert sorted(codes) == [200, 503, 503]
    assert [answer(address, "replica")[0] for address in ADDRESSES] == [200, 200, 200]


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_member_sees_all_others(address):
    code, found = answer(address, "status")
    assert code == 200
    assert sorted((one["address"], one["state"]) for one in found["members"]) == [(one, "ONLINE") for one in ADDRESSES]


def test_members_hold_the_databases_and_users(host):
    assert mysql(host, "SHOW DATABASES LIKE 'shop'") == "shop"
    assert mysql(host, "SELECT COUNT(*) FROM mysql.user WHERE user = 'shop'") == "1"


def test_members_verify_each_other(host):
    assert mysql(host, "SELECT @@group_replication_ssl_mode") == "VERIFY_IDENTITY"
    assert mysql(host, "SELECT @@group_replication_recovery_ssl_verify_server_cert") == "1"
    key = host.file("/etc/mysql/tls/member.key")
    assert (key.user, key.mode) == ("mysql", 0o600)


def test_no_boot_begins_or_opens_a_group(host):
    assert mysql(host, "SELECT @@group_replication_bootstrap_group") == "0"
    assert host.file("/etc/mysql/mysql.conf.d/zz-tutorops.cnf").contains("^super_read_only = ON$")


def test_accounts_need_tls_and_the_health_account_may_only_look(host):
    assert mysql(host, "SELECT DISTINCT ssl_type FROM mysql.user WHERE user LIKE 'tutorops%' AND host = '%'") == "ANY"
    grants = mysql(host, "SHOW GRANTS FOR tutorops_health@localhost")
    assert "performance_schema" in grants
    assert "ON *.* TO" not in grants.replace("GRANT USAGE ON *.* TO", "")


def test_the_firewall_guards_its_ports_and_nothing_else(host):
    rules = host.check_output("nft list table inet tutorops_mysql")
    assert "tcp dport { 3306, 9200 } reject with tcp reset" in rules
    assert "policy accept" in rules
    assert host.service("tutorops-firewall.service").is_enabled


def test_units_run_and_start_at_boot(host):
    for unit in ("mysql", "tutorops-mysql-health"):
        assert host.service(unit).is_running
        assert host.service(unit).is_enabled
