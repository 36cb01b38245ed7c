"""What `seed` puts beside MySQL: structures and files into MongoDB, entries of the cache into Redis."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import batched

import pymongo
from bson import ObjectId
from django.core.cache import caches

from . import content
from .models import CourseIndex
from .publishing import structure_of

FILES = "seed/"
FILE_BYTES = 1024 * 1024
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def seed_structures(course_ids: Sequence[str]) -> None:
    """One published version of each course; blocks enough for some 30 KB each."""
    CourseIndex.objects.filter(course_id__in=course_ids).delete()
    versions = [(course, ObjectId(hashlib.sha256(course.encode()).hexdigest()[:24])) for course in course_ids]
    for some in batched(versions, 100):
        documents = (structure_of(course, version, blocks=200) for course, version in some)
        content.structures().bulk_write(
            [pymongo.ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents]
        )
        CourseIndex.objects.bulk_create(
            CourseIndex(course_id=course, published_version=str(version), last_update=EPOCH) for course, version in some
        )


def seed_files(megabytes: int, chance: random.Random) -> None:
    """Files in GridFS that do not compress."""
    files = content.files()
    for old in list(content.content()["fs.files"].find({"filename": re.compile(f"^{FILES}")}, {"_id": 1})):
        files.delete(old["_id"])
    for number in range(megabytes):
        files.put(chance.randbytes(FILE_BYTES), filename=f"{FILES}{number:06}", content_type="image/png")


def seed_cache(rows: int, chance: random.Random) -> None:
    """Entries that end some time, and a few that never do."""
    for some in batched(range(rows), 1000):
        caches["general"].set_many({f"seed-{number}": chance.randbytes(200) for number in some}, timeout=7 * 24 * 3600)
    caches["course_structure_cache"].set_many(
        {f"seed-{number}": chance.randbytes(2000) for number in range(rows // 100)}, timeout=None
    )
