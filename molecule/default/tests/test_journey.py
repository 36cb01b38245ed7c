"""After the journey: the cluster serves, the way back is ended, the platform works, no secret shows. Reads only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import testinfra

APP = "lab-app"
DATA = ["lab-data-1", "lab-data-2", "lab-data-3"]
PREFIX = os.environ.get("TUTOROPS_LAB_PREFIX", "lab")
STATE = Path(__file__).resolve().parents[3] / "build" / PREFIX
SECRETS = ("lab-Admin.1-secret", "lab-Replication.1-secret")


SQL = "mysql -u tutorops_admin -N -B -e %s"
"""Asks a member as its administrator, whom the socket lets in as root."""


def host(name: str) -> Any:
    """A host of the lab, by docker itself: quicker than by Ansible."""
    return testinfra.get_host(f"docker://{name.replace('lab-', f'{PREFIX}-', 1)}")


def test_learners_noticed_nothing() -> None:
    result = json.loads((STATE / "traffic" / "traffic.json").read_text())
    print(json.dumps({**result["traffic"], **result["ledger"]}))
    assert result["traffic"]["requests"] > 1000
    assert result["traffic"]["failed"] == 0
    assert (result["ledger"]["lost"], result["ledger"]["duplicated"]) == (0, 0)


def test_each_stage_stands_in_the_reports() -> None:
    reports = [json.loads(path.read_text()) for path in sorted((STATE / "reports").glob("*/report.json"))]
    stages = [line["stage"] for report in reports for line in report["stores"]["mysql"]["stages"] if line["ok"]]
    assert {"follow", "compare", "cutover", "rollback", "commit"} <= set(stages)
    held = [
        line["result"]["flip"]["steps"]["open"]
        for report in reports
        for line in report["stores"]["mysql"]["stages"]
        if line["changed"] and line["stage"] in ("cutover", "rollback")
    ]
    print(f"held for {', '.join(f'{seconds:.3f} s' for seconds in held)}")
    assert len(held) == 3
    assert max(held) < 5.0, "a hold outlived its own deadline"


def test_the_group_is_whole_open_and_has_one_primary() -> None:
    asked = host(DATA[0]).check_output(
        SQL, "SELECT member_state, member_role FROM performance_schema.replication_group_members"
    )
    assert sorted(line.split()[1] for line in asked.splitlines()) == ["PRIMARY", "SECONDARY", "SECONDARY"]
    assert {line.split()[0] for line in asked.splitlines()} == {"ONLINE"}
    closed = [host(name).check_output(SQL, "SELECT @@super_read_only") for name in DATA]
    assert sorted(closed) == ["0", "1", "1"]


@pytest.mark.parametrize("name", DATA)
def test_a_member_listens_behind_its_firewall(name: str) -> None:
    member = host(name)
    assert member.socket("tcp://0.0.0.0:3306").is_listening or member.socket("tcp://:::3306").is_listening
    assert "tutorops_mysql" in member.check_output("nft list tables inet")
    assert member.service("tutorops-firewall").is_enabled
    assert member.file("/etc/mysql/tls").mode == 0o750 or member.file("/etc/mysql/tls").mode == 0o700


@pytest.mark.parametrize("name", DATA)
def test_health_tells_the_primary_from_the_others(name: str) -> None:
    member = host(name)
    role = member.check_output(
        SQL,
        "SELECT member_role FROM performance_schema.replication_group_members WHERE member_id = @@server_uuid",
    )
    status = member.check_output("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9200/primary")
    assert status == ("200" if role == "PRIMARY" else "503")


def test_the_edge_points_at_the_cluster() -> None:
    app = host(APP)
    assert app.file("/var/lib/tutorops/pointers/mysql").content_string == "mysql cluster\n"
    for unit in ("tutorops-edge", "tutorops-follower"):
        assert app.service(unit).is_running
        assert app.service(unit).is_enabled
    assert json.loads(app.check_output("tutorops status --json"))["mysql"]["stage"] == "committed"


def test_tutor_runs_mysql_no_more_but_its_data_stay() -> None:
    app = host(APP)
    settings = app.file("/home/tutor/.local/share/tutor/config.yml").content_string
    assert "RUN_MYSQL: false" in settings
    running = app.check_output("docker ps --all --format '{{.Names}}'").split()
    assert "tutor_local-mysql-1" not in running
    assert {"tutor_local-lms-1", "tutor_local-cms-1", "tutor_local-notes-1"} <= set(running)
    assert app.file("/home/tutor/.local/share/tutor/data/mysql/ibdata1").exists


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
