"""manage.py lms seed --rows N --megabytes M: data of a chosen size, the same for the same size."""

from __future__ import annotations

import hashlib
import json
import random
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import batched
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from courses.models import Course, Enrollment, Upload
from courses.seeding import seed_cache, seed_files, seed_structures

BLOB = 256 * 1024
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ("algebra", "Ökologie", "数学入門", "история", "🎓 data", "🚀 rockets", 'O\'Reilly \\ "quoted"')


def courses(number: int, chance: random.Random) -> Iterator[Course]:
    """Some with a start and a price, some without."""
    for i in range(number):
        yield Course(
            id=f"course-v1:Lab+C{i:05}+2026",
            display_name=f"{chance.choice(WORDS)} {i}",
            start=EPOCH + timedelta(hours=i, microseconds=chance.randrange(1_000_000)) if i % 3 else None,
            price=Decimal(chance.randrange(100_000)) / 100 if i % 2 else None,
            details={"tags": chance.sample(WORDS, 2), "weeks": chance.randrange(20), "open": None},
        )


def enrollments(number: int, course_ids: list[str], chance: random.Random) -> Iterator[Enrollment]:
    """Each learner in one course."""
    for learner in range(number):
        yield Enrollment(
            learner=learner,
            course_id=chance.choice(course_ids),
            mode=chance.choice((None, "audit", "verified")),
            is_active=chance.random() < 0.9,
            created=EPOCH + timedelta(seconds=learner, microseconds=chance.randrange(1_000_000)),
        )


def module_states(number: int, chance: random.Random) -> Iterator[tuple[Any, ...]]:
    """Rows of the table with a key of two columns: three modules for each learner."""
    for i in range(number):
        state = {"attempts": chance.randrange(5), "answer": chance.choice(WORDS), "seed": chance.random()}
        yield (
            i // 3,
            f"block-v1:Lab+problem+{i % 3}",
            json.dumps(state, ensure_ascii=False),
            chance.random() if i % 4 else None,
            chance.choice((None, "", "💬 well done")),
            EPOCH.replace(tzinfo=None) + timedelta(seconds=i),
        )


def uploads(megabytes: int, chance: random.Random) -> Iterator[Upload]:
    """Blobs that do not compress."""
    for _ in range(megabytes * 1024 * 1024 // BLOB):
        content = chance.randbytes(BLOB)
        yield Upload(digest=hashlib.sha256(content).hexdigest(), content=content)


class Command(BaseCommand):
    """Replaces what an earlier run left."""

    help = "Fill MySQL, MongoDB and Redis with data of a chosen size."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rows", type=int, required=True, help="learners; other tables follow")
        parser.add_argument("--megabytes", type=int, required=True, help="of blobs in MySQL, and of files in MongoDB")

    def handle(self, *, rows: int, megabytes: int, **_: object) -> None:
        chance = random.Random(1)
        with connection.cursor() as cursor:
            for table in ("courses_enrollment", "courses_course", "courses_upload", "courses_modulestate"):
                cursor.execute(f"DELETE FROM {table}")
        number = max(10, rows // 100)
        course_ids = [f"course-v1:Lab+C{i:05}+2026" for i in range(number)]
        self.fill(Course, courses(number, chance), 1000)
        self.fill(Enrollment, enrollments(rows, course_ids, chance), 1000)
        self.fill_module_states(module_states(3 * rows, chance))
        self.fill(Upload, uploads(megabytes, chance), 16)
        seed_structures(course_ids)
        seed_files(megabytes, chance)
        seed_cache(rows, chance)

    def fill(self, model: Any, items: Iterable[Any], size: int) -> None:
        for some in batched(items, size):
            model.objects.bulk_create(some)

    def fill_module_states(self, items: Iterable[tuple[Any, ...]]) -> None:
        with connection.cursor() as cursor:
            for some in batched(items, 1000):
                cursor.executemany(
                    "INSERT INTO courses_modulestate (learner, module, state, grade, comment, modified)"
                    " VALUES (%s, %s, %s, %s, %s, %s)",
                    some,
                )
