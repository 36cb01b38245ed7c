"""The app server loses its power at each step of a flip, both ways, and is started again: it ends well each time."""

from __future__ import annotations

import json

import pytest
from lab_site import Site, wait_until

STEPS = ["hold", "drain", "fence", "apply", "decide", "open", "way back"]
DROP_IN = "/etc/systemd/system/tutorops-stage@.service.d/slow.conf"


@pytest.fixture(scope="module")
def following(site: Site) -> Site:
    """A store that follows, whose flips stretch each step to seconds."""
    site.playbook("offload.yml", {"offload_until": "follow"})
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
def test_power_is_cut_at(following: Site, stage: str, cut: str) -> None:
    site = following
    leaving = "local" if stage == "cutover" else "cluster"
    limits = {"offload_limits": {"hold_seconds": 30.0}, "offload_again": True}
    if site.pointer() != leaving:
        site.playbook("offload.yml" if leaving == "cluster" else "rollback.yml", limits)
    key = site.write()
    with site.traffic(f"{stage}-{cut.replace(' ', '-')}") as traffic:
        running = site.start_playbook("offload.yml" if stage == "cutover" else "rollback.yml", limits)
        try:
            wait_until(lambda: step(site, stage) == cut, f"the flip reaches {cut}", 240, pause=0.1)
            site.cut_power()
        finally:
            running.kill()
        site.boot()
        site.wait_answers()
        wait_until(lambda: not site.flip_under_way(), "the boot settles the flip", 180)
        assert site.writable_ends() == [site.pointer()]
        assert site.finds(key)
        assert site.finds(site.write())
    # The platform itself had no power, so requests failed; but nothing that was acknowledged is gone.
    traffic.nothing_lost()
