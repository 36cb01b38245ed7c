"""What is left after all of it: Tutor's own numbers, no plugin, and memory that was never past its limit."""

from __future__ import annotations

import json
import os

import pytest
from testinfra.host import Host

testinfra_hosts = [f"docker://{os.environ['TUTOROPS_LAB_PREFIX']}-app"]


def config(host: Host) -> str:
    return host.file("/home/tutor/.local/share/tutor/config.yml").content_string


def test_nothing_of_the_collection_is_left(host: Host) -> None:
    assert "UWSGI_WORKERS" not in config(host)
    assert "tutorops_workers" not in config(host)
    assert not host.file("/home/tutor/.local/share/tutor-plugins/tutorops_workers.py").exists


def children(host: Host, service: str) -> int:
    """How many processes the first one of a container has forked, as docker shows them."""
    pid = json.loads(host.check_output(f"docker inspect tutor_local-{service}-1"))[0]["State"]["Pid"]
    lines = host.check_output(f"docker top tutor_local-{service}-1 -eo pid,ppid").splitlines()[1:]
    return [line.split()[1] for line in lines].count(str(pid))


@pytest.mark.parametrize("service", ["lms", "cms"])
def test_uwsgi_has_the_two_workers_of_tutor_and_its_router(host: Host, service: str) -> None:
    assert children(host, service) == 2 + 1


@pytest.mark.parametrize("service", ["lms-worker", "cms-worker"])
def test_celery_has_a_process_for_each_core(host: Host, service: str) -> None:
    assert children(host, service) == int(host.check_output("nproc"))


def test_memory_was_watched_and_never_past_the_limit(host: Host) -> None:
    most = int(host.file("/run/scale-memory").content_string)
    total = int(host.check_output("awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024
    assert 0 < most <= total * 80 // 100
