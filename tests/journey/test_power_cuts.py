"""The app server loses its power at each step of a flip, both ways, and is started again: it ends well each time."""

from __future__ import annotations

import json
import os

import pytest
from lab_site import Site, wait_until
from lablib.settings import Settings
from site_stores import STORES

CUTS = [(name, step) for name in Settings.from_environment(os.environ).store_names for step in STORES[name].steps]
DROP_IN = "/etc/systemd/system/tutorops-stage@.service.d/slow.conf"


@pytest.fixture(scope="module")
def compared(site: Site) -> Site:
    """Stores that were compared and cut over once, whose flips stretch each step to seconds from now on."""
    site.playbook("offload.yml")
    text = "[Service]\\nEnvironment=TUTOROPS_SLOW_MOTION=1.0\\n"
    script = f"mkdir -p $(dirname {DROP_IN}); printf '{text}' > {DROP_IN}; systemctl daemon-reload"
    site.inside(site.app, "sh", "-c", script)
    return site


def step(site: Site, store: str, stage: str) -> str:
    """The step that a flip has reached."""
    text = site.inside(site.app, "cat", f"/run/tutorops/{store}.{stage}.json", check=False)
    found = json.loads(text or "{}")
    return "" if found.get("ended") else str((found.get("progress") or {}).get("phase", ""))


@pytest.mark.parametrize(("name", "cut"), CUTS)
@pytest.mark.parametrize("stage", ["cutover", "rollback"])
def test_power_is_cut_at(compared: Site, stage: str, name: str, cut: str) -> None:
    site, store = compared, STORES[name]
    leaving, taking = ("local", "cluster") if stage == "cutover" else ("cluster", "local")
    if site.pointer(name) != leaving:
        flip(site, name, "rollback" if stage == "cutover" else "cutover")
        wait_until(lambda: site.pointer(name) == leaving and not site.flip_under_way(name), "the store is back", 180)
    key = site.write(name)
    with site.traffic(f"{name}-{stage}-{cut.replace(' ', '-')}") as traffic:
        flip(site, name, stage)
        wait_until(lambda: step(site, name, stage) == cut, f"the flip reaches {cut}", 240, pause=0.1)
        site.cut_power()
        site.boot()
        site.wait_answers()
        wait_until(lambda: not site.flip_under_way(name), "the boot settles the flip", 180)
        decided = store.steps.index(cut) > store.steps.index("decide")
        assert not decided or site.pointer(name) == taking
        for one in site.stores:
            site.only_writable(one, site.pointer(one.name))
        assert site.finds(key, name)
        assert site.finds(site.write(name), name)
        assert site.courses_whole()
    # The platform itself had no power, so requests failed, and tasks in the middle of their work are gone, as Celery
    # has it; but no write that was acknowledged is.
    traffic.nothing_lost(but=["celery"])


def flip(site: Site, store: str, stage: str) -> None:
    """Start a flip as its playbook does, once both ends follow and are whole."""
    request = json.dumps({"again": True, "attempts": 60, "limits": {"hold_seconds": 30.0}})
    site.inside(site.app, "sh", "-c", f"echo '{request}' > /run/tutorops/{store}.{stage}.request.json")
    site.inside(site.app, "systemctl", "start", "--no-block", f"tutorops-stage@{store}:{stage}")
