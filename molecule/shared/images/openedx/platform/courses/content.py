"""Course content in MongoDB, through the connections that edx-platform's two stores of content make."""

from __future__ import annotations

import functools
import os
from typing import Any

import gridfs
import pymongo
from django.conf import settings
from pymongo.collection import Collection
from xmodule.mongo_utils import Database, Document, connect_to_mongodb


@functools.cache
def _content(process: int) -> Database:
    return connect_to_mongodb(**settings.CONTENTSTORE["DOC_STORE_CONFIG"])


@functools.cache
def _modules(process: int) -> tuple[Database, str]:
    options: dict[str, Any] = dict(settings.MODULESTORE["default"]["OPTIONS"]["stores"][0]["DOC_STORE_CONFIG"])
    collection = options.pop("collection")
    # edx-platform insists on it for structures and index, whatever its settings say: the primary alone acknowledges.
    return connect_to_mongodb(**{**options, "w": 1, "journal": True}), collection


def content() -> Database:
    """The database by the content store's connection; each process has a client of its own.

    Writes are acknowledged when they are in the journal, so that a power cut of a server that stands alone loses none.
    """
    database = _content(os.getpid())
    replicated = settings.CONTENTSTORE["DOC_STORE_CONFIG"].get("replicaSet")
    return database.with_options(write_concern=pymongo.WriteConcern("majority" if replicated else 1, j=True))


def files() -> gridfs.GridFS:
    """Course assets."""
    return gridfs.GridFS(content())


def structures() -> Collection[Document]:
    """Published versions of courses, each written once and never changed."""
    database, collection = _modules(os.getpid())
    return database[f"{collection}.structures"]


def active_versions() -> Collection[Document]:
    """The index as it was before it moved to MySQL; edx-platform still writes it."""
    database, collection = _modules(os.getpid())
    return database[f"{collection}.active_versions"]
