# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sqlite3
import string

from ansible_collections.tutorops.scale.plugins.module_utils.mysql_digest import Chunk, Table, row_digest
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.lists(
    st.tuples(st.integers(-3, 3), st.text(string.ascii_lowercase[:3], max_size=2), st.integers(0, 2)),
    min_size=1,
    max_size=40,
    unique=True,
)
TABLE = Table("openedx", "grades", {"a": "int", "b": "varchar", "c": "int"}, ("a", "b", "c"), 10, 1000)


def selected(rows: list[tuple[object, ...]], chunk: Chunk) -> list[tuple[object, ...]]:
    """What a database takes a range to be; SQLite reads our conditions as MySQL does."""
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE t (a, b, c)")
    base.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    where, args = chunk.condition()
    return base.execute(f"SELECT a, b, c FROM t WHERE {where.replace('%s', '?')}", args).fetchall()


@given(KEYS, st.data())
def test_ranges_hold_every_row_once(rows: list[tuple[object, ...]], data: st.DataObject) -> None:
    ordered = sorted(rows)
    cuts = sorted(data.draw(st.sets(st.sampled_from(ordered), max_size=5)))
    bounds = [None, *cuts, None]
    ranges = [Chunk(TABLE, low, high) for low, high in zip(bounds, bounds[1:], strict=False)]
    found = [row for chunk in ranges for row in selected(rows, chunk)]
    assert sorted(found) == ordered
    assert len(found) == len(rows)


def test_a_range_is_told_in_words() -> None:
    assert Chunk(TABLE).label == "openedx.grades"
    assert Chunk(TABLE, None, (1, "x", 2)).label == "openedx.grades, a, b, c from the first to 1, x, 2"
    assert Chunk(TABLE, (b"\xff",), None).label == "openedx.grades, a, b, c from after ff to the last"


def test_a_digest_covers_every_column_exactly() -> None:
    sql = row_digest({"n": "int", "s`x": "varchar", "body": "longtext", "f": "float", "j": "json", "b": "bit"})
    assert "COALESCE(`n`, '-')" in sql
    # A text comes with its length, so that two columns cannot be shifted into each other.
    assert "COALESCE(LENGTH(`s``x`), '-'), COALESCE(CAST(`s``x` AS BINARY), '')" in sql
    # Large values are digested first: no row outgrows max_allowed_packet.
    assert "SHA2(`body`, 256)" in sql
    assert "CAST(`f` AS DOUBLE)" in sql
    assert "SHA2(CAST(`j` AS CHAR), 256)" in sql
    assert "`b` + 0" in sql
