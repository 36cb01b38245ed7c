# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.tutorops.scale.plugins.plugin_utils.report import add_stage, outcome_of, page, record_stage

STARTED, ENDED = "2026-11-23T12:00:00+00:00", "2026-11-23T12:00:02.500000+00:00"


def outcome(**result: object) -> dict[str, object]:
    return {"ok": True, "changed": True, "error": None, "started": STARTED, "ended": ENDED, "result": result}


def test_summary_takes_its_figures_from_the_stages() -> None:
    report = add_stage({}, "r1", "mysql", "follow", outcome(bytes=4096))
    report = add_stage(report, "r1", "mysql", "compare", outcome(equal=True))
    report = add_stage(report, "r1", "mysql", "cutover", outcome(seconds=0.4, flip={"hold_seconds": 0.08}))
    store = report["stores"]["mysql"]
    assert store["bytes"] == 4096
    assert store["follow_seconds"] == 2.5
    assert store["compared"] is True
    assert store["stall_seconds"] == 0.08
    assert [line["stage"] for line in store["stages"]] == ["follow", "compare", "cutover"]


def test_a_failed_try_is_kept_but_does_not_count() -> None:
    report = add_stage({}, "r1", "mysql", "compare", outcome(equal=True))
    report = add_stage(report, "r1", "mysql", "compare", {**outcome(equal=False), "ok": False, "error": "rows differ"})
    assert report["stores"]["mysql"]["compared"] is True
    assert report["stores"]["mysql"]["stages"][1]["error"] == "rows differ"


def test_adding_a_stage_leaves_the_given_report_alone() -> None:
    first = add_stage({}, "r1", "mysql", "follow", outcome())
    add_stage(first, "r1", "mysql", "compare", outcome())
    assert len(first["stores"]["mysql"]["stages"]) == 1


def test_page_escapes_what_it_shows() -> None:
    report = add_stage({}, "<b>", "mysql", "follow", {**outcome(), "ok": False, "error": "<script>"})
    assert "<script>" not in page(report)
    assert "&lt;script&gt;" in page(report)


def test_outcome_of_a_failed_task_carries_its_message() -> None:
    assert outcome_of({"failed": True, "msg": "no room"})["error"] == "no room"
    assert outcome_of({"changed": True, "result": {"a": 1}})["ok"] is True


def test_a_run_s_stages_are_gathered_where_only_the_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "r1"
    record_stage(folder, "mysql", "follow", {"changed": True, "result": {"bytes": 3}})
    record_stage(folder, "redis", "follow", {"failed": True, "msg": "no room"})
    report = json.loads((folder / "report.json").read_text())
    assert report["run"] == "r1"
    assert [report["stores"][store]["stages"][0]["ok"] for store in ("mysql", "redis")] == [True, False]
    assert "no room" in (folder / "report.html").read_text()
    modes = [path.stat().st_mode & 0o777 for path in (folder, folder / "report.json", folder / "report.html")]
    assert modes == [0o700, 0o600, 0o600]
