"""A cluster whose members were all down comes back; and after a rollback Tutor can be what it was before we came."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml
from lab_site import Site, wait_until

ROOT = "/home/tutor/.local/share/tutor"


def tutor_of(site: Site) -> dict[str, Any]:
    """What an operator would call his Tutor: settings, what was rendered, plugins, and the containers."""
    rendered = f"cd {ROOT}/env && find . -type f ! -name '*.pyc' | sort | xargs sha256sum"
    files = site.inside(site.app, "sh", "-c", rendered)
    inspected = json.loads(site.inside(site.app, "docker", "inspect", *sorted(site.containers())))
    return {
        "settings": yaml.safe_load(site.inside(site.app, "cat", f"{ROOT}/config.yml")),
        "rendered": dict(reversed(line.split()) for line in files.splitlines()),
        "plugins": site.tutor("plugins", "list"),
        "containers": {one["Name"]: (one["Config"]["Image"], one["Config"]["Cmd"]) for one in inspected},
    }


@pytest.fixture(scope="module")
def found(site: Site) -> dict[str, Any]:
    """Tutor before anything was done."""
    return tutor_of(site)


def test_clusters_come_back_after_all_members_were_down(site: Site, found: dict[str, Any]) -> None:
    site.playbook("offload.yml")
    written = {ledger: site.write(ledger) for store in site.stores for ledger in store.ledgers[:1]}
    wait_until(lambda: all(site.whole(one) for one in site.stores), "every member is there", 60)
    subprocess.run(["docker", "kill", *site.settings.data], check=True, capture_output=True)
    subprocess.run(["docker", "start", *site.settings.data], check=True, capture_output=True)
    site.playbook("recover.yml")
    wait_until(lambda: all(site.whole(one) for one in site.stores), "every member is back", 180)
    site.wait_answers()
    for store in site.stores:
        site.only_writable(store, "cluster")
    lost = [ledger for ledger, key in written.items() if not site.finds(key, ledger)]
    # Redis answers before its disk has it, for a second at most.
    assert set(lost) <= {"redis"}, lost
    again = site.playbook("recover.yml").stdout
    assert again.count("changed=0 ") == len(site.settings.hosts), again[-1500:]


def test_a_detached_tutor_is_what_was_found(site: Site, found: dict[str, Any]) -> None:
    site.playbook("offload.yml")
    with site.traffic("detach") as traffic:
        site.playbook("rollback.yml")
        written = {ledger: site.write(ledger) for store in site.stores for ledger in store.ledgers[:1]}
        site.playbook("detach.yml")
    traffic.nothing_noticed()
    assert [ledger for ledger, key in written.items() if not site.finds(key, ledger)] == []
    now = tutor_of(site)
    for part, before in found.items():
        assert now[part] == before, part
    units = site.inside(site.app, "systemctl", "list-units", "--all", "--plain", "--no-legend", "tutorops-*")
    assert units.strip() == ""
    left = site.playbook("status.yml").stdout
    assert "no store of this server is attached yet" in left.replace("\n", " ").replace("    ", " "), left[-1000:]
