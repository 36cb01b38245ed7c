# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two members compared document by document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_client import MongodbError
from ansible_collections.tutorops.scale.plugins.module_utils.mongodb_compare import Compare
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import Comparison, Unreachable
from bson import ObjectId, decode, encode
from hypothesis import given
from hypothesis import strategies as st
from mongodb_world import Moment


@dataclass
class Server:
    """A member's content; its past may end while it is read."""

    content: dict[str, list[dict[str, Any]]]
    indexes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    forgets_after: int = 10**9
    asked: list[dict[str, Any]] = field(default_factory=list)

    def command(self, name: str, value: Any = 1, database: str = "admin", **options: Any) -> dict[str, Any]:
        if name == "listDatabases":
            return {"databases": [{"name": one} for one in ("admin", "local", "config", "openedx")]}
        return {"dataSize": 100}

    def listed(self, name: str, value: Any, database: str) -> list[dict[str, Any]]:
        if name == "listIndexes":
            return self.indexes.get(value, [{"name": "_id_", "key": {"_id": 1}, "v": 2}])
        views = [{"name": "view", "type": "view", "options": {"viewOn": "a"}}, {"name": "system.views"}]
        return views + [
            {"name": one, "type": "collection", "options": self.options.get(one, {})} for one in self.content
        ]

    def batches(self, database: str, collection: str, size: int, **find: Any) -> Iterator[list[bytes]]:
        self.asked.append(find)
        documents = self.content[collection]
        if "min" in find:
            first = next(at for at, one in enumerate(documents) if one["_id"] == find["min"]["_id"])
            documents = documents[first:]
        for at in range(0, len(documents), size):
            if at // size >= self.forgets_after:
                raise MongodbError("SnapshotTooOld", 239)
            yield [encode(one) for one in documents[at : at + size]]


def compare(one: Server, two: Server, batch: int = 3) -> Comparison:
    now = [0]

    def moment() -> Moment:
        now[0] += 1
        return Moment(now[0], 7)

    return Compare(one, two, moment, lambda phase, figures: None, batch, wait=lambda seconds: None).run()  # type: ignore[arg-type]


def documents(count: int) -> list[dict[str, Any]]:
    return [{"_id": number, "text": "x" * number} for number in range(count)]


def test_equal_ends_are_equal() -> None:
    found = compare(Server({"a": documents(10), "b": []}), Server({"a": documents(10), "b": []}))
    assert found.equal and (found.items, found.rows, found.position) == (2, 10, "1:7") and found.bytes > 100


def test_everything_is_read_as_of_one_moment() -> None:
    servers = Server({"a": documents(10)}), Server({"a": documents(10)})
    compare(*servers)
    assert [one.asked for one in servers] == [
        [{"sort": {"_id": 1}, "readConcern": {"level": "snapshot", "atClusterTime": Moment(1, 7)}}]] * 2  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, "a", None]), st.integers(0, 3)), max_size=14, unique_by=lambda one: one),
    st.integers(0, 13),
    st.sampled_from(["drop", "alter", "add"]),
    st.integers(1, 4),
)
def test_one_document_that_differs_is_always_found(keys: list[tuple[Any, int]], at: int, harm: str, batch: int) -> None:
    ours = [{"_id": {"k": key, "n": number}, "v": 1} for key, number in keys]
    theirs = [dict(one) for one in ours]
    if harm == "add":
        theirs.insert(min(at, len(theirs)), {"_id": ObjectId(), "v": 1})
    elif not ours:
        assert compare(Server({"a": ours}), Server({"a": theirs}), batch).equal
        return
    elif harm == "drop":
        del theirs[at % len(theirs)]
    else:
        theirs[at % len(theirs)]["v"] = 2
    assert compare(Server({"a": ours}), Server({"a": ours}), batch).equal
    found = compare(Server({"a": ours}), Server({"a": theirs}), batch)
    assert [one.where for one in found.differences] == ["openedx.a"]


def test_differences_are_told_with_the_document() -> None:
    def told(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
        return compare(Server({"a": ours}), Server({"a": theirs})).differences[0].detail

    assert told(documents(3), documents(2)) == "the end that follows lacks the document 2, and perhaps later ones"
    assert told(documents(2), documents(3)) == "the end that serves lacks the document 2, and perhaps later ones"
    assert told(documents(3)[1:], documents(3)) == "where one end has the document 1, the other one has 0"
    assert told([{"_id": 1, "a": 1}], [{"_id": 1, "a": 2}]) == "the document 1 has other content"


@pytest.mark.parametrize("forgets", [1, 2])
def test_a_past_that_ends_moves_on_after_the_last_document(forgets: int) -> None:
    ours, theirs = Server({"a": documents(20)}), Server({"a": documents(20)}, forgets_after=forgets)
    found = compare(ours, theirs)
    assert found.equal and found.rows == 20
    later = theirs.asked[1]
    assert later["readConcern"]["atClusterTime"] > theirs.asked[0]["readConcern"]["atClusterTime"]
    assert later["hint"] == {"_id": 1} and decode(encode(later["min"]))["_id"] == 3 * forgets - 1


def test_a_server_that_goes_away_is_no_difference() -> None:
    class Gone(Server):
        def batches(self, database: str, collection: str, size: int, **find: Any) -> Iterator[list[bytes]]:
            raise Unreachable("it does not answer")

    with pytest.raises(Unreachable):
        compare(Server({"a": documents(2)}), Gone({"a": documents(2)}))


def test_catalogues_are_compared_too() -> None:
    two = [{"name": "_id_", "key": {"_id": 1}}, {"name": "n", "key": {"n": 1}}]
    ours = Server({"a": [], "b": [], "c": []}, {"b": two})
    theirs = Server({"a": [], "b": [], "d": []}, {"b": two[:1]}, {"a": {"collation": {"locale": "en"}}})
    found = {one.where: one.detail for one in compare(ours, theirs).differences}
    assert found == {
        "openedx.a": "its options differ",
        "openedx.b": "its indexes differ",
        "openedx.c": "only the end that serves has it",
        "openedx.d": "only the end that follows has it",
    }
