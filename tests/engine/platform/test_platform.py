# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in platform reaches its stores as Tutor's settings say, and traffic notices what becomes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import traffic
from platform_world import PlatformWorld, until
from trafficlib.records import Records

STORES = "mysql,celery,redis,sessions,events,mongodb,gridfs,course,files"
SPOIL = """
from courses.content import structures
from courses.models import CourseIndex
from django.contrib.sessions.backends.cache import SessionStore
from ledger.tasks import record
from bson import ObjectId
from lms.celery import APP
APP.set_default()
row = CourseIndex.objects.get(course_id="{course}")
structures().delete_one({{"_id": ObjectId(row.published_version)}})
SessionStore("{session}").delete()
record.delay("{task}")
"""


@pytest.fixture(scope="module")
def records(world: PlatformWorld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    """A few seconds of traffic."""
    folder = tmp_path_factory.mktemp("traffic")
    where = ["--target", world.target, "--output", str(folder), "--stores", STORES]
    assert traffic.main(["start", *where, "--rate", "15", "--timeout", "30"]) == 0
    yield Records(folder)


def result(records: Records) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((records.directory / "traffic.json").read_text())
    return found


def test_it_reaches_every_store(world: PlatformWorld) -> None:
    _status, body = world.get("/heartbeat?extended")
    found = json.loads(body)
    found.pop("search")  # There is none here.
    assert {name: check["message"] for name, check in found.items()} == dict.fromkeys(found, "OK")
    assert {"sessions", "events", "course", "celery", "gridfs"} <= set(found)


def test_seeding_twice_leaves_the_same_and_every_row_has_its_structure(world: PlatformWorld) -> None:
    seen = []
    for _ in range(2):
        world.manage("seed", "--rows", "300", "--megabytes", "2")
        seen.append(world.manage("shell", "-c", COUNT).split()[-4:])
    assert seen == [["10", "10", "2", "300"]] * 2
    assert world.get("/courses/published?all")[0] == 200


COUNT = """
from courses.content import content, structures
from courses.models import CourseIndex
from django_redis import get_redis_connection
print(CourseIndex.objects.count(), structures().count_documents({}), content()["fs.files"].count_documents({}),
      sum(1 for _ in get_redis_connection("general").scan_iter("general:*seed-*", count=1000)))
"""


def test_traffic_on_all_of_them(records: Records, world: PlatformWorld) -> None:
    requests = records.requests
    until(lambda: sum(one.succeeded for one in requests()) > 250, "some hundred requests succeeded")
    assert traffic.main(["stop", "--output", str(records.directory)]) == 0, world.log("lms")[-4000:]
    found = result(records)["stores"]
    assert all(one["acknowledged"] > 0 for one in found.values()), found


def test_tasks_ran_as_open_edx_sends_them(records: Records, world: PlatformWorld) -> None:
    assert "succeeded in" in world.log("worker")
    events = world.manage("shell", "-c", RESULTS).split()[-1]
    assert int(events) > 0, "results of tasks are in the cache"


RESULTS = """
from django_redis import get_redis_connection
print(sum(1 for _ in get_redis_connection("celery").scan_iter("celery:*celery-task-meta-*", count=1000)))
"""


def test_what_is_spoilt_on_purpose_is_noticed(records: Records, world: PlatformWorld) -> None:
    writes = [one for one in records.requests() if one.action == "write" and one.succeeded]
    course, task = (next(one.key for one in writes if one.store == store) for store in ("course", "celery"))
    login = next(one for one in writes if one.store == "sessions")
    session = str(login.cookie).partition("=")[2]
    world.manage("shell", "-c", SPOIL.format(course=course, session=session, task=task))
    until(lambda: task_count(world, task) == 2, "the task ran again")
    assert traffic.main(["audit", "--output", str(records.directory), "--patience", "2"]) == 1
    found = result(records)["stores"]
    assert found["celery"]["duplicated_keys"] == [task]
    assert found["sessions"]["lost_keys"] == [login.key]
    assert found["course"]["dangling_keys"] == found["course"]["lost_keys"] == [course]
    others = {name: one for name, one in found.items() if name not in ("celery", "sessions", "course")}
    assert all(not (one["lost"] or one["duplicated"]) for one in others.values())


def task_count(world: PlatformWorld, key: str) -> int:
    return int(json.loads(world.get(f"/ledger/celery/{key}")[1])["count"])
