# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small platform's data: courses, their files in GridFS, and what makes comparisons hard."""

from __future__ import annotations

import os
from typing import Any

import gridfs
import pymongo
from bson import Decimal128, Int64, ObjectId


def fill(options: dict[str, Any], structures: int = 3000, files: int = 4) -> None:
    """Make databases, indexes and documents."""
    with pymongo.MongoClient(**options) as client:
        courses = client["openedx"]
        courses["modulestore.structures"].insert_many(
            [{"_id": ObjectId(), "blocks": os.urandom(1500), "number": number} for number in range(structures)]
        )
        versions = courses["modulestore.active_versions"]
        versions.create_index([("org", 1), ("course", 1), ("run", 1)], unique=True)
        versions.insert_many([{"org": "org", "course": f"c{number}", "run": "r"} for number in range(50)])
        # Identities of many types, as a split modulestore and its assets have.
        courses["odd"].insert_many(
            [
                {"_id": one}
                for one in (
                    1,
                    2.5,
                    Int64(7),
                    "text",
                    {"org": "o", "run": None},
                    ObjectId(),
                    None,
                    Decimal128("1.1"),
                    True,
                )
            ]
        )
        courses.create_collection("newest", collation={"locale": "en", "strength": 2})
        courses["newest"].insert_many([{"_id": f"Name {number}"} for number in range(20)])
        courses.create_collection("view", viewOn="newest", pipeline=[])
        store = gridfs.GridFS(courses)
        for number in range(files):
            store.put(os.urandom(700_000), filename=f"/c4x/org/c{number}/asset/picture.png")
        client["cs_comments_service"]["contents"].insert_many([{"body": f"comment {n}"} for n in range(200)])
