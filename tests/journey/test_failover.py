"""The cluster's primary goes, in each way that a primary can; the LMS writes again without a restart."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest
from lab_site import Site, wait_until


@pytest.fixture(scope="module")
def cut_over(site: Site) -> Site:
    """A platform that is served by its cluster."""
    site.playbook("offload.yml")
    return site


def killed(site: Site, host: str) -> Callable[[], None]:
    site.inside(host, "pkill", "-9", "-x", "mysqld")
    return lambda: None


def frozen(site: Site, host: str) -> Callable[[], None]:
    site.inside(host, "pkill", "-STOP", "-x", "mysqld")
    return lambda: site.inside(host, "pkill", "-CONT", "-x", "mysqld") and None


def cut_off(site: Site, host: str) -> Callable[[], None]:
    chain = "add chain inet cut {0} {{ type filter hook {0} priority -300; }}; add rule inet cut {0} {1} != lo drop"
    rules = [chain.format("input", "iifname"), chain.format("output", "oifname")]
    site.inside(host, "nft", "; ".join(["add table inet cut", *rules]))
    return lambda: site.inside(host, "nft", "delete table inet cut") and None


def powered_off(site: Site, host: str) -> Callable[[], None]:
    subprocess.run(["docker", "kill", host], check=True, capture_output=True)
    return lambda: subprocess.run(["docker", "start", host], check=True, capture_output=True) and None


@pytest.mark.parametrize(("fault", "bound"), [(killed, 10.0), (frozen, 10.0), (cut_off, 15.0), (powered_off, 10.0)])
def test_primary(cut_over: Site, fault: Callable[[Site, str], Callable[[], None]], bound: float) -> None:
    site = cut_over
    wait_until(lambda: site.members_online() == len(site.settings.data), "every member is online", 180)
    with site.traffic(fault.__name__) as traffic:
        victim = site.primary()
        begun = time.monotonic()
        mend = fault(site, victim)
        try:
            wait_until(lambda: _writes(site), "a write through the LMS", 60, pause=0.2)
            took = time.monotonic() - begun
        finally:
            mend()
        print(f"{fault.__name__}: first good write after {took:.1f} s")
    # A task whose commit got no answer is done once more, as Celery was told.
    traffic.nothing_lost(but_twice=["celery"])
    assert took <= bound


def _writes(site: Site) -> bool:
    try:
        site.write()
    except AssertionError:
        return False
    return True
