"""After the journey: the clusters serve, the ways back are ended, the platform works, no secret shows. Reads only."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml

APP = "lab-app"
DATA = ["lab-data-1", "lab-data-2", "lab-data-3"]
PREFIX = os.environ.get("TUTOROPS_LAB_PREFIX", "lab")
STORES = os.environ.get("TUTOROPS_LAB_STORES", "mysql").split(",")
SHARED = Path(__file__).resolve().parents[2] / "shared"
STATE = SHARED.parents[1] / "build" / PREFIX
VARIABLES = yaml.safe_load((SHARED / "inventory" / "group_vars" / "lab.yml").read_text())
SECRETS = [value for name, value in VARIABLES.items() if name.endswith(("_password", "_keyfile"))]
PORTS = {"mysql": 3306, "mongodb": 27017, "redis": 6379}
KEPT = {"mysql": "ibdata1", "mongodb": "WiredTiger", "redis": "appendonlydir"}
"""What stays in the data directory of Tutor's container."""


SQL = "mysql -u tutorops_admin -N -B -e %s"
"""Asks a member as its administrator, whom the socket lets in as root."""
REDIS = "redis-cli --no-auth-warning --tls --cacert /etc/redis/tls/ca.pem -h %s --user tutorops_health --pass any info"
"""Asks a member as the account that may only look."""


def host(name: str) -> Any:
    """A host of the lab, by docker itself: quicker than by Ansible."""
    return testinfra.get_host(f"docker://{name.replace('lab-', f'{PREFIX}-', 1)}")


def address(member: Any) -> str:
    """By which it is reached."""
    return str(member.interface("eth0").addresses[0])


def roles(store: str) -> list[str]:
    """What each member is in its cluster, in words that all stores share."""
    return [ROLES[store](host(name)) for name in DATA]


def mysql_role(member: Any) -> str:
    state = "SELECT CONCAT(member_state, ' ', member_role) FROM performance_schema.replication_group_members"
    said = member.check_output(SQL, f"{state} WHERE member_id = @@server_uuid")
    closed = member.check_output(SQL, "SELECT @@super_read_only")
    return {("ONLINE PRIMARY", "0"): "leads", ("ONLINE SECONDARY", "1"): "follows"}.get((said, closed), said + closed)


def mongodb_role(member: Any) -> str:
    script = (SHARED / "ask_mongodb.py").read_text(encoding="utf-8")
    said = json.loads(member.check_output(f"python3 -c {shlex.quote(script)} {address(member)}"))
    return "leads" if said["leads"] else "follows" if said["follows"] else str(said)


def redis_role(member: Any) -> str:
    said = member.check_output(REDIS, address(member)).splitlines()
    if "role:master" in said and "min_slaves_good_slaves:2" in said:
        return "leads"
    return "follows" if "master_link_status:up" in said else " ".join(said)


ROLES = {"mysql": mysql_role, "mongodb": mongodb_role, "redis": redis_role}


def test_learners_noticed_nothing() -> None:
    result = json.loads((STATE / "traffic" / "traffic.json").read_text())
    print(json.dumps({**result["traffic"], **result["ledger"]}))
    assert result["traffic"]["requests"] > 1000
    assert result["traffic"]["failed"] == 0
    assert [result["ledger"][flaw] for flaw in ("lost", "duplicated", "dangling")] == [0, 0, 0]
    assert result["stores"]["sessions"]["acknowledged"] > 0, "nobody logged in"
    assert result["stores"]["course"]["acknowledged"] > 0, "no course was published"


@pytest.mark.parametrize("store", STORES)
def test_each_stage_stands_in_the_reports(store: str) -> None:
    reports = [json.loads(path.read_text()) for path in sorted((STATE / "reports").glob("*/report.json"))]
    lines = [line for report in reports for line in report["stores"].get(store, {}).get("stages", [])]
    stages = [line["stage"] for line in lines if line["ok"]]
    assert {"follow", "compare", "cutover", "rollback", "commit"} <= set(stages)
    flips = [line for line in lines if line["changed"] and line["stage"] in ("cutover", "rollback")]
    held = [line["result"]["flip"]["steps"]["open"] for line in flips]
    print(f"{store}: held for {', '.join(f'{seconds:.3f} s' for seconds in held)}")
    assert len(held) == 3
    assert max(held) < 5.0, "a hold outlived its own deadline"


@pytest.mark.parametrize("store", STORES)
def test_the_cluster_is_whole_open_and_has_one_primary(store: str) -> None:
    assert sorted(roles(store)) == ["follows", "follows", "leads"]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("name", DATA)
def test_a_member_listens_behind_its_firewall(name: str, store: str) -> None:
    member = host(name)
    listens = [f"tcp://{where}:{PORTS[store]}" for where in ("0.0.0.0", "::", address(member))]
    assert any(member.socket(one).is_listening for one in listens)
    assert f"tutorops_{store}" in member.check_output("nft list tables inet")
    assert member.service("tutorops-firewall").is_enabled
    assert member.file(f"/etc/{store}/tls").mode & 0o007 == 0


@pytest.mark.skipif("mysql" not in STORES, reason="MySQL was not moved")
@pytest.mark.parametrize("name", DATA)
def test_health_tells_the_primary_from_the_others(name: str) -> None:
    member = host(name)
    status = member.check_output("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9200/primary")
    assert status == ("200" if mysql_role(member) == "leads" else "503")


@pytest.mark.parametrize("store", STORES)
def test_the_edge_points_at_the_cluster(store: str) -> None:
    app = host(APP)
    assert app.file(f"/var/lib/tutorops/pointers/{store}").content_string == f"{store} cluster\n"
    assert json.loads(app.check_output("tutorops status --json"))[store]["stage"] == "committed"


def test_the_edge_runs_and_starts_at_boot() -> None:
    app = host(APP)
    for unit in ("tutorops-edge", "tutorops-follower"):
        assert app.service(unit).is_running
        assert app.service(unit).is_enabled


@pytest.mark.parametrize("store", STORES)
def test_tutor_runs_the_store_no_more_but_its_data_stay(store: str) -> None:
    app = host(APP)
    settings = app.file("/home/tutor/.local/share/tutor/config.yml").content_string
    assert f"RUN_{store.upper()}: false" in settings
    running = app.check_output("docker ps --all --format '{{.Names}}'").split()
    assert f"tutor_local-{store}-1" not in running
    assert {"tutor_local-lms-1", "tutor_local-cms-1", "tutor_local-notes-1"} <= set(running)
    assert app.file(f"/home/tutor/.local/share/tutor/data/{store}/{KEPT[store]}").exists


def test_what_the_attach_found_is_on_record() -> None:
    record = host(APP).file("/var/lib/tutorops/tutor/attached.json")
    assert record.mode == 0o600
    found = json.loads(record.content_string)
    assert found["stores"] == sorted(STORES)
    assert {f"{store.upper()}_HOST" for store in STORES} <= {*found["set"], *found["unset"]}


@pytest.mark.parametrize("site", ["lms.test", "studio.lms.test", "notes.lms.test"])
def test_the_platform_answers(site: str) -> None:
    status = host(APP).check_output(
        f"curl -s -o /dev/null -w '%{{http_code}}' -H 'Host: {site}' http://127.0.0.1/heartbeat"
    )
    assert status == "200"


@pytest.mark.parametrize("name", [APP, *DATA])
def test_no_unit_failed(name: str) -> None:
    assert host(name).check_output("systemctl --failed --no-legend --plain") == ""


@pytest.mark.parametrize("name", [APP, *DATA])
def test_no_secret_is_readable_or_in_a_journal(name: str) -> None:
    machine = host(name)
    for secret in SECRETS:
        assert machine.run("journalctl --no-pager --output cat | grep -F -- %s", secret).stdout == ""
        find = "find /etc /run /usr/local /var/lib/tutorops -xdev -type f -perm -o=r"
        assert machine.run(f"{find} -exec grep -lF -- %s {{}} + 2>/dev/null", secret).stdout == ""
