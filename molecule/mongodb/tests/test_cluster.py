"""What the role promises, read from every member; nothing is changed here."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

testinfra_hosts = [f"docker://{os.environ['TUTOROPS_LAB_PREFIX']}-data-{number}" for number in (1, 2, 3)]
SUBNET = os.environ["TUTOROPS_LAB_SUBNET"].rsplit(".", 1)[0]
ADDRESSES = [f"{SUBNET}.{number}" for number in (11, 12, 13)]
ASK = (Path(__file__).parents[2] / "shared" / "ask_mongodb.py").read_text(encoding="utf-8")
ADMIN = {"user": "tutorops_admin", "password": "admin-of-the-lab-only"}
SHOP = {"user": "shop", "password": "user-of-the-lab-only"}
COMMAND = """
import json, sys, pymongo
given = json.load(sys.stdin)
account = {"username": given["user"], "password": given["password"], "authSource": "admin"} if given["user"] else {}
client = pymongo.MongoClient(sys.argv[1], directConnection=True, tls=given["tls"], serverSelectionTimeoutMS=5000,
                             **({"tlsCAFile": "/etc/mongodb/tls/ca.pem"} if given["tls"] else {}), **account)
try:
    print(json.dumps(client[given["database"]].command(given["command"]), default=str))
except Exception as problem:
    print(json.dumps({"error": str(problem)}))
"""


def address(host: Any) -> str:
    return str(host.interface("eth0").addresses[0])


def states(host: Any) -> list[dict[str, Any]]:
    """What each of the three says, asked from one of them."""
    asked = (host.check_output(f"python3 -c {shlex.quote(ASK)} {one}") for one in ADDRESSES)
    return [json.loads(one) for one in asked]


def command(
    host: Any, database: str, what: dict[str, Any], who: dict[str, str] | None = ADMIN, tls: bool = True
) -> dict[str, Any]:
    """One command to the member on a host."""
    given = json.dumps({**(who or {"user": "", "password": ""}), "database": database, "command": what, "tls": tls})
    script = f"printf %s {shlex.quote(given)} | python3 -c {shlex.quote(COMMAND)} {address(host)}"
    return dict(json.loads(host.check_output(script)))


def test_exactly_one_member_leads_and_all_see_it(host):
    found = states(host)
    assert sorted(one["leads"] for one in found) == [False, False, True]
    assert all(one["leads"] or one["follows"] for one in found)
    leader = ADDRESSES[[one["leads"] for one in found].index(True)]
    assert {one["primary"] for one in found} == {f"{leader}:27017"}
    assert all(one["members"] == [f"{address}:27017" for address in ADDRESSES] for one in found)


def test_elections_are_as_quick_as_measured(host):
    settings = command(host, "admin", {"replSetGetConfig": 1})["config"]["settings"]
    assert (settings["electionTimeoutMillis"], settings["heartbeatTimeoutSecs"]) == (5000, 2)


def test_nobody_reads_without_an_account(host):
    assert "requires authentication" in command(host, "shop", {"find": "kept"}, who=None)["error"]


def test_the_user_may_use_its_database_and_no_other(host):
    assert "error" not in command(host, "shop", {"ping": 1}, who=SHOP)
    assert "not authorized" in command(host, "openedx", {"find": "x"}, who=SHOP)["error"]
    assert "not authorized" in command(host, "admin", {"replSetGetConfig": 1}, who=SHOP)["error"]


def test_members_know_each_other_by_a_key_that_nobody_else_reads(host):
    options = command(host, "admin", {"getCmdLineOpts": 1})["parsed"]
    assert options["security"]["authorization"] == "enabled"
    key = host.file(options["security"]["keyFile"])
    assert (key.user, key.mode) == ("mongodb", 0o400)
    assert options["net"]["tls"]["mode"] in ("preferTLS", "requireTLS")


def test_the_firewall_guards_its_port_and_nothing_else(host):
    rules = host.check_output("nft list table inet tutorops_mongodb")
    assert "tcp dport 27017 reject with tcp reset" in rules
    assert "policy accept" in rules
    assert host.service("tutorops-firewall.service").is_enabled


def test_the_unit_runs_and_starts_at_boot(host):
    assert host.service("mongod").is_running
    assert host.service("mongod").is_enabled
