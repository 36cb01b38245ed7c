# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Worker processes told from their masters and from uWSGI's router, in a /proc as it was seen in the lab."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.tutorops.scale.plugins.module_utils.roll_state import Instance
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_find import FORK_SECONDS, Finder, Policy
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_look import (
    Memory,
    by_service,
    look,
    memory,
    processes,
)

LMS, WORKER, OUTER = "a" * 64, "b" * 64, "c" * 64
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
#: uWSGI's: the router for everybody at 8000, the workers for the router at a port of 127.0.0.1, and a connection.
TCP = HEAD + (
    "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 501 1 0 100 0 0 10 0\n"
    "   1: 0100007F:8AAD 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 502 1 0 100 0 0 10 0\n"
    "   2: 0200A8C0:1F40 0300A8C0:9C40 01 00000000:00000000 00:00000000 00000000  1000 0 503 1 0 100 0 0 10 0\n"
)


class World:
    """A /proc that is written by hand."""

    def __init__(self, proc: Path) -> None:
        self.proc = proc
        (proc / "meminfo").write_text("MemTotal: 16000 kB\nMemFree: 100 kB\nMemAvailable:    9000 kB\n")
        (proc / "self").mkdir()

    def process(
        self, pid: int, parent: int, container: str, program: str, pss: int, sockets: tuple[int, ...] = ()
    ) -> None:
        folder = self.proc / str(pid)
        (folder / "net").mkdir(parents=True)
        (folder / "fd").mkdir()
        # A command may be named so that it looks like more fields.
        (folder / "stat").write_text(f"{pid} (uw) S 9 (x) S {parent} {pid} 0 0 -1\n")
        (folder / "cgroup").write_text(f"9:pids:/docker/{OUTER}/docker/{container}\n0::/docker/{OUTER}\n")
        (folder / "smaps_rollup").write_text(f"1000-2000 ---p 0 00:00 0 [rollup]\nRss: 99 kB\nPss:   {pss} kB\n")
        (folder / "net" / "tcp").write_text(TCP)
        (folder / "exe").symlink_to(program)
        for number, inode in enumerate(sockets):
            (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (folder / "fd" / "99").symlink_to("/dev/null")


def instance(identity: str, service: str, pid: int, *command: str) -> Instance:
    return Instance(identity, service, service, 1, True, pid, 0.0, "", (), command, False, ())


def test_uwsgi_has_workers_a_master_and_a_router(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.process(10, 1, LMS, "/usr/bin/uwsgi", 100, (501, 502))
    for pid in (11, 12, 13):
        world.process(pid, 10, LMS, "/usr/bin/uwsgi", 40 + pid, (502,))
    world.process(14, 10, LMS, "/usr/bin/uwsgi", 7, (501,))
    # What somebody runs by `docker exec` has another parent, or another program.
    world.process(20, 2, LMS, "/usr/bin/bash", 3)
    world.process(21, 11, LMS, "/usr/bin/python3", 4)
    found = look(instance(LMS, "lms", 10, "uwsgi"), processes({LMS}, tmp_path), tmp_path)
    assert found.workers == (11, 12, 13)
    assert sorted(found.sizes) == [51 * 1024, 52 * 1024, 53 * 1024]
    assert found.rest == (100 + 7 + 3 + 4) * 1024


def test_celery_has_workers_and_a_parent_behind_a_shell(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.process(30, 1, WORKER, "/usr/bin/dash", 1)
    world.process(31, 30, WORKER, "/usr/bin/python3.13", 90)
    world.process(32, 31, WORKER, "/usr/bin/python3.13", 60)
    world.process(33, 31, WORKER, "/usr/bin/python3.13", 61)
    one = instance(WORKER, "lms-worker", 30, "sh", "celery", "worker")
    found = look(one, processes({WORKER}, tmp_path), tmp_path)
    assert (found.workers, found.sizes, found.rest) == ((32, 33), (60 * 1024, 61 * 1024), 91 * 1024)


def test_a_pool_of_threads_has_no_worker_process(tmp_path: Path) -> None:
    World(tmp_path).process(31, 1, WORKER, "/usr/bin/python3.13", 90)
    assert (
        look(instance(WORKER, "lms-worker", 31, "celery", "worker"), processes({WORKER}, tmp_path), tmp_path).workers
        == ()
    )


def test_memory_of_services_is_that_of_their_containers_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.process(10, 1, LMS, "/usr/bin/uwsgi", 100)
    world.process(11, 10, LMS, "/usr/bin/uwsgi", 50)
    world.process(40, 1, "d" * 64, "/usr/bin/other", 900)
    # It ends while it is looked at.
    (tmp_path / "50").mkdir()
    table = processes({LMS}, tmp_path)
    assert by_service([instance(LMS, "lms", 10)], table) == {"lms": 150 * 1024}
    assert memory(tmp_path) == Memory(16000 * 1024, 9000 * 1024)


def test_a_service_whose_worker_has_just_ended_is_waited_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    celery = instance(WORKER, "lms-worker", 10, "celery", "worker")
    waited: list[float] = []

    def fork(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            world.process(11, 10, WORKER, "/openedx/venv/bin/python3", 70)

    world.process(10, 1, WORKER, "/openedx/venv/bin/python3", 90)
    finder = Finder(None, Policy(), tmp_path, lambda: sum(waited), fork)  # type: ignore[arg-type]
    assert look(celery, finder._processes([celery]), tmp_path).workers == (11,)
    assert len(waited) == 3


def test_a_service_without_workers_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    world = World(tmp_path)
    celery = instance(WORKER, "lms-worker", 10, "celery", "worker")
    waited: list[float] = []
    world.process(10, 1, WORKER, "/openedx/venv/bin/python3", 90)
    finder = Finder(None, Policy(), tmp_path, lambda: sum(waited), waited.append)  # type: ignore[arg-type]
    assert not look(celery, finder._processes([celery]), tmp_path).workers
    assert sum(waited) >= FORK_SECONDS
