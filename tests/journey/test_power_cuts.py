"""The app server loses its power at each step of a flip, both ways, and is started again: it ends well each time."""

from __future__ import annotations

import json

import pytest
from lab_site import Site, wait_until

STEPS = ["hold", "drain", "fence", "apply", "decide", "open", "way back"]
DROP_IN = "/etc/systemd/system/tutorops-stage@.service.d/slow.conf"


@pytest.fixture(scope="module")
def compared(site: Site) -> Site:
    """A store that was compared and cut over once, whose flips stretch each step to seconds from now on."""
    site.playbook("offload.yml")
    text = "[Service]\\nEnvironment=TUTOROPS_SLOW_MOTION=1.0\\n"
    script = f"mkdir -p $(dirname {DROP_IN}); printf '{text}' > {DROP_IN}; systemctl daemon-reload"
    site.inside(site.app, "sh", "-c", script)
    return site


def step(site: Site, stage: str) -> str:
    """The step that a flip has reached."""
    text = site.inside(site.app, "cat", f"/run/tutorops/mysql.{stage}.json", check=False)
    found = json.loads(text or "{}")
    return "" if found.get("ended") else str((found.get("progress") or {}).get("phase", ""))


@pytest.mark.parametrize("cut", STEPS)
@pytest.mark.parametrize("stage", ["cutover", "rollback"])
def test_power_is_cut_at(compared: Site, stage: str, cut: str) -> None:
    site = compared
    leaving, taking = ("local", "cluster") if stage == "cutover" else ("cluster", "local")
    if site.pointer() != leaving:
        flip(site, "rollback" if stage == "cutover" else "cutover")
        wait_until(lambda: site.pointer() == leaving and not site.flip_under_way(), "the store is back", 120)
    key = site.write()
    with site.traffic(f"{stage}-{cut.replace(' ', '-')}") as traffic:
        flip(site, stage)
        wait_until(lambda: step(site, stage) == cut, f"the flip reaches {cut}", 240, pause=0.1)
        site.cut_power()
        site.boot()
        site.wait_answers()
        wait_until(lambda: not site.flip_under_way(), "the boot settles the flip", 180)
        decided = STEPS.index(cut) > STEPS.index("decide")
        assert not decided or site.pointer() == taking
        assert site.writable_ends() == [site.pointer()]
        assert site.finds(key)
        assert site.finds(site.write())
    # The platform itself had no power, so requests failed, and tasks in the middle of their work are gone, as Celery
    # has it; but no write that was acknowledged is.
    traffic.nothing_lost(but=["celery"])


def flip(site: Site, stage: str) -> None:
    """Start a flip as its playbook does, once both ends follow and are whole."""
    request = json.dumps({"again": True, "attempts": 60, "limits": {"hold_seconds": 30.0}})
    site.inside(site.app, "sh", "-c", f"echo '{request}' > /run/tutorops/mysql.{stage}.request.json")
    site.inside(site.app, "systemctl", "start", "--no-block", f"tutorops-stage@mysql:{stage}")
