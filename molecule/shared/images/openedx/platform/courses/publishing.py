"""A published course: its index is a row in MySQL, which names its structure in MongoDB."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import batched
from typing import Any

from bson import ObjectId
from django.core.cache import caches
from django.utils import timezone

from .content import active_versions, structures
from .models import CourseIndex


def structure_of(course_id: str, version: ObjectId, blocks: int = 20) -> dict[str, Any]:
    """A structure as the split module store keeps it, in small."""
    return {
        "_id": version,
        "root": ["course", "course"],
        "schema_version": 1,
        "course": course_id,
        "blocks": [
            {"block_type": "problem", "block_id": f"p{number}", "fields": {"display_name": f"📐 {course_id} {number}"}}
            for number in range(blocks)
        ],
    }


def publish(course_id: str) -> None:
    """As edx-platform does: the structure, then the row that names it, then the index in MongoDB.

    The row is committed after all of that, when the request ends.
    """
    version = ObjectId()
    structures().insert_one(structure_of(course_id, version))
    CourseIndex.objects.create(course_id=course_id, published_version=str(version), last_update=timezone.now())
    active_versions().insert_one({"course": course_id, "versions": {"published-branch": version}})


def structure(version: str) -> dict[str, Any] | None:
    """A structure out of the cache, where it stays for ever, or out of MongoDB."""
    cache = caches["course_structure_cache"]
    found: dict[str, Any] | None = cache.get(version)
    if not found:
        found = structures().find_one({"_id": ObjectId(version)})
        if found:
            cache.set(version, found, None)
    return found


def missing(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Courses of (course, version) whose structure is not in MongoDB.

    A structure is there before its row is, and nothing takes it away: rows that were read before are a fair question.
    """
    gone: list[str] = []
    for some in batched(rows, 1000):
        wanted = [ObjectId(version) for _course, version in some]
        there = {str(document["_id"]) for document in structures().find({"_id": {"$in": wanted}}, {"_id": 1})}
        gone += [course for course, version in some if version not in there]
    return gone
