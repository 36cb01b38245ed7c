"""One ledger in each store. An entry is written once and found again; `counts` tells how often each is there.

Every store is reached with the library that Open edX uses and through the settings that Tutor renders.
A write returns when the store has acknowledged it, and raises when it has not.
"""

from __future__ import annotations

import functools
import os
import re
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

import redis
from courses import content, publishing
from courses.models import CourseIndex
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import Count
from django_redis import get_redis_connection
from pymongo.collection import Collection
from xmodule.mongo_utils import Document

from . import search
from .models import Entry, TaskEntry
from .tasks import record


class Ledger(Protocol):
    """What the views need of a store."""

    def write(self, key: str) -> None:
        """Add one entry."""

    def count(self, key: str) -> int:
        """How many entries have this key."""

    def counts(self, prefix: str) -> dict[str, int]:
        """How many entries each key with this prefix has."""

    def check(self) -> None:
        """Raise unless the store answers."""


class Mysql:
    """A row of a table."""

    model: type[Entry | TaskEntry] = Entry

    def write(self, key: str) -> None:
        self.model.objects.create(key=key)

    def count(self, key: str) -> int:
        return self.model.objects.filter(key=key).count()

    def counts(self, prefix: str) -> dict[str, int]:
        rows = self.model.objects.filter(key__startswith=prefix).values_list("key").annotate(Count("id"))
        return dict(rows)

    def check(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


class Task(Mysql):
    """A row that a worker writes, some time after the request."""

    model = TaskEntry

    def write(self, key: str) -> None:
        # A part of them takes a second, so that at any moment some are being worked on.
        record.delay(key, work_seconds=float(zlib.crc32(key.encode()) % 10 == 0))

    def check(self) -> None:
        with record.app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, timeout=2)


class Mongodb:
    """A document."""

    field = "key"

    @property
    def collection(self) -> Collection[Document]:
        return content.content()["ledger"]

    def write(self, key: str) -> None:
        self.collection.insert_one({self.field: key})

    def count(self, key: str) -> int:
        return self.collection.count_documents({self.field: key})

    def counts(self, prefix: str) -> dict[str, int]:
        found = self.collection.find({self.field: {"$regex": f"^{re.escape(prefix)}"}}, {self.field: 1})
        return Counter(document[self.field] for document in found)

    def check(self) -> None:
        content.content().command("ping")


class Gridfs(Mongodb):
    """A file in GridFS, as course assets are."""

    field = "filename"

    @property
    def collection(self) -> Collection[Document]:
        return content.content()["fs.files"]

    def write(self, key: str) -> None:
        content.files().put(key.encode() * 100, filename=key)


class Course:
    """A published course, which counts only where both its row in MySQL and its structure in MongoDB are there."""

    def rows(self, **which: str) -> list[tuple[str, str]]:
        return list(CourseIndex.objects.filter(**which).values_list("course_id", "published_version"))

    def write(self, key: str) -> None:
        publishing.publish(key)

    def count(self, key: str) -> int:
        rows = self.rows(course_id=key)
        shown = sum(publishing.structure(version) is not None for _course, version in rows)
        if shown < len(rows):
            raise LookupError(f"the row of course {key} points at a structure that is missing")
        return shown

    def counts(self, prefix: str) -> dict[str, int]:
        rows = self.rows(course_id__startswith=prefix)
        return Counter(course for course, _version in rows) - Counter(publishing.missing(rows))

    def check(self) -> None:
        content.structures().find_one({}, {"_id": 1})


class Redis:
    """A field of a hash that counts its own writes.

    Not through Django's cache: DJANGO_REDIS_IGNORE_EXCEPTIONS makes that one say nothing when Redis is away.
    """

    name = "ledger"

    def write(self, key: str) -> None:
        get_redis_connection("default").hincrby(self.name, key, 1)

    def count(self, key: str) -> int:
        return int(get_redis_connection("default").hget(self.name, key) or 0)

    def counts(self, prefix: str) -> dict[str, int]:
        escaped = re.sub(r"([\[\]*?\\])", r"\\\1", prefix)
        found = get_redis_connection("default").hscan_iter(self.name, match=f"{escaped}*", count=1000)
        return {key.decode(): int(value) for key, value in found}

    def check(self) -> None:
        get_redis_connection("default").ping()


@functools.cache
def event_bus(process: int) -> redis.Redis:
    """The connections to the event bus; each process needs its own."""
    return redis.Redis.from_url(getattr(settings, "EVENT_BUS_REDIS_CONNECTION_URL", settings.BROKER_URL))


class Events:
    """An event on the event bus: an entry of a stream. Up to Tutor 20 there is no bus; the broker takes its place."""

    stream = "ledger"

    @property
    def bus(self) -> redis.Redis:
        return event_bus(os.getpid())

    def write(self, key: str) -> None:
        self.bus.xadd(self.stream, {"key": key})

    def count(self, key: str) -> int:
        return self.counts(key).get(key, 0)

    def counts(self, prefix: str) -> dict[str, int]:
        keys = (fields[b"key"].decode() for _id, fields in self.bus.xrange(self.stream))
        return Counter(key for key in keys if key.startswith(prefix))

    def check(self) -> None:
        self.bus.ping()


class Files:
    """A file in the storage for uploads: a directory, or S3. Each write makes a new one below its key."""

    folder = "ledger"

    def write(self, key: str) -> None:
        default_storage.save(f"{self.folder}/{key}/{uuid.uuid4().hex}", ContentFile(key.encode()))

    def listing(self, path: str) -> tuple[Iterable[str], Iterable[str]]:
        try:
            return default_storage.listdir(path)
        except FileNotFoundError:
            return [], []

    def count(self, key: str) -> int:
        return len(list(self.listing(f"{self.folder}/{key}")[1]))

    def counts(self, prefix: str) -> dict[str, int]:
        return {key: self.count(key) for key in self.listing(self.folder)[0] if key.startswith(prefix)}

    def check(self) -> None:
        self.listing("")


class Search:
    """A document in the search engine. Each write makes a new one that carries its key."""

    def write(self, key: str) -> None:
        search.engine().add({"id": uuid.uuid4().hex, "key": key})

    def count(self, key: str) -> int:
        return self.counts(key).get(key, 0)

    def counts(self, prefix: str) -> dict[str, int]:
        found = (document["key"] for document in search.engine().documents(prefix))
        return Counter(key for key in found if key.startswith(prefix))

    def check(self) -> None:
        search.engine().check()


STORES: dict[str, Ledger] = {
    "mysql": Mysql(),
    "celery": Task(),
    "mongodb": Mongodb(),
    "gridfs": Gridfs(),
    "course": Course(),
    "redis": Redis(),
    "events": Events(),
    "files": Files(),
    "search": Search(),
}
