"""Bad input is refused before anything changes, in one sentence that names the host or variable and the cure."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from lab_site import Site
from lablib.settings import Settings

Given = tuple[dict[str, Any], list[str]]
NAMES = Settings.from_environment(os.environ).store_names
PORTS = {"mysql": 3306, "mongodb": 27017, "redis": 6379}


@contextmanager
def two_members(site: Site, store: str) -> Iterator[Given]:
    yield {f"{store}_hosts": ["lab-data-1", "lab-data-2"]}, []


@contextmanager
def limit_that_hides_a_member(site: Site) -> Iterator[Given]:
    yield {}, ["--limit", "tutor,lab-data-1,lab-data-2"]


@contextmanager
def member_down(site: Site) -> Iterator[Given]:
    subprocess.run(["docker", "stop", "-t", "5", site.settings.data[2]], check=True, capture_output=True)
    try:
        yield {}, []
    finally:
        subprocess.run(["docker", "start", site.settings.data[2]], check=True, capture_output=True)


@contextmanager
def wrong_root_password(site: Site) -> Iterator[Given]:
    right = site.tutor("config", "printvalue", "MYSQL_ROOT_PASSWORD").strip()
    site.tutor("config", "save", "--set", "MYSQL_ROOT_PASSWORD=wrongpassword")
    try:
        yield {}, []
    finally:
        site.tutor("config", "save", "--set", f"MYSQL_ROOT_PASSWORD={right}")


@contextmanager
def no_room(site: Site, store: str) -> Iterator[Given]:
    host = site.settings.data[1]
    site.inside(host, "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", f"/var/lib/{store}")
    try:
        yield {}, []
    finally:
        site.inside(host, "umount", f"/var/lib/{store}")


@contextmanager
def table_that_blocks(site: Site) -> Iterator[Given]:
    site.source_sql("CREATE TABLE openedx.stubborn (id INT) ENGINE=MyISAM")
    try:
        yield {}, []
    finally:
        site.source_sql("DROP TABLE openedx.stubborn")


@contextmanager
def port_taken(site: Site, store: str) -> Iterator[Given]:
    listen = f"socat TCP-LISTEN:{PORTS[store]},fork,reuseaddr /dev/null > /dev/null 2>&1 & echo $! > /run/taken"
    site.inside(site.app, "sh", "-c", listen)
    try:
        yield {}, []
    finally:
        site.inside(site.app, "sh", "-c", "kill $(cat /run/taken)")


@contextmanager
def address_of_nobody(site: Site) -> Iterator[Given]:
    yield {"edge_address": "192.0.2.7"}, []


@contextmanager
def no_such_root(site: Site) -> Iterator[Given]:
    yield {"tutor_root": "/srv/nowhere"}, []


@contextmanager
def another_owner(site: Site) -> Iterator[Given]:
    yield {"tutor_root": "/home/tutor/.local/share/tutor", "tutor_owner": "nobody"}, []


@contextmanager
def tutor_missing(site: Site) -> Iterator[Given]:
    site.inside(site.app, "mv", "/usr/local/bin/tutor", "/usr/local/bin/tutor.away")
    try:
        yield {}, []
    finally:
        site.inside(site.app, "mv", "/usr/local/bin/tutor.away", "/usr/local/bin/tutor")


@contextmanager
def tutor_too_old(site: Site) -> Iterator[Given]:
    old = "/usr/local/bin/old-tutor"
    script = f"printf '#!/bin/sh\\necho tutor, version 16.1.8\\n' > {old}; chmod 755 {old}"
    site.inside(site.app, "sh", "-c", script)
    yield {"tutor_binary": "/usr/local/bin/old-tutor"}, []


CASES: list[tuple[str, Callable[[Site], Any], list[str]]] = [
    *((f"two_members_of_{name}", partial(two_members, store=name), [f"{name}_hosts", "3"]) for name in NAMES),
    *((f"no_room_for_{name}", partial(no_room, store=name), ["lab-data-2"]) for name in NAMES),
    *((f"port_of_{name}_taken", partial(port_taken, store=name), [str(PORTS[name]), "socat"]) for name in NAMES),
    ("limit_that_hides_a_member", limit_that_hides_a_member, ["lab-data-3", "--limit"]),
    ("member_down", member_down, ["lab-data-3"]),
    ("wrong_root_password", wrong_root_password, ["MYSQL_ROOT_PASSWORD"]),
    ("table_that_blocks", table_that_blocks, ["openedx.stubborn"]),
    ("address_of_nobody", address_of_nobody, ["edge_address", "192.0.2.7"]),
    ("no_such_root", no_such_root, ["/srv/nowhere"]),
    ("another_owner", another_owner, ["nobody"]),
    ("tutor_missing", tutor_missing, ["tutor"]),
    ("tutor_too_old", tutor_too_old, ["16.1.8"]),
]


def snapshot(site: Site) -> list[str]:
    """What a change would show in: packages, units, files of ours, Tutor's settings, containers."""
    packages, units = "dpkg-query -W | sha256sum", "systemctl list-unit-files --no-legend | sha256sum"
    look = f"{packages}; {units}; ls /etc/tutorops /var/lib/tutorops 2>&1; true"
    containers = "docker ps --no-trunc --format '{{.ID}}' | sort | sha256sum"
    config = f"sha256sum /home/tutor/.local/share/tutor/config.yml; {containers}"
    hosts = [host for host in site.settings.hosts if host != site.settings.data[2]]
    return [site.inside(host, "sh", "-c", look) for host in hosts] + [site.inside(site.app, "sh", "-c", config)]


@pytest.mark.parametrize(("case", "said"), [one[1:] for one in CASES], ids=[one[0] for one in CASES])
def test_is_refused(site: Site, case: Callable[[Site], Any], said: list[str]) -> None:
    with case(site) as (variables, options):
        before = snapshot(site)
        done = site.playbook("offload.yml", variables, *options, check=False)
        assert done.returncode != 0
        text = " ".join((done.stdout + done.stderr).split())
        for word in said:
            assert word in text, text[-3000:]
        assert "Traceback" not in text
        assert snapshot(site) == before
