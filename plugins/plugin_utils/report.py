# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run: what each stage of each store did, as JSON and as a page to read."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.paths import write_file

#: The summary of a store: where each figure comes from, as (stage, path into the stage's result).
SUMMARY: dict[str, tuple[str, tuple[str, ...]]] = {
    "restart_stall_seconds": ("prepare", ("stall_seconds",)),
    "bytes": ("follow", ("bytes",)),
    "cutover_seconds": ("cutover", ("seconds",)),
    "stall_seconds": ("cutover", ("flip", "hold_seconds")),
    "compared": ("compare", ("equal",)),
}


def record_stage(folder: Path, store: str, stage: str, result: Mapping[str, Any]) -> None:
    """Add a stage, by the result of its task, to the report in a run's folder, which only its owner may read.

    Raises OSError and ValueError where that cannot be read or written.
    """
    path = folder / "report.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    report = add_stage(before, folder.name, store, stage, outcome_of(result))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(path, json.dumps(report, indent=2, sort_keys=True) + "\n")
    write_file(folder / "report.html", page(report))


def outcome_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a report keeps of the result of a stage's task."""
    failed = bool(result.get("failed"))
    return {
        "ok": not failed,
        "changed": bool(result.get("changed")),
        "error": str(result.get("msg") or "the stage failed") if failed else None,
        "started": result.get("started"),
        "ended": result.get("ended"),
        "result": result.get("result") or {},
    }


def add_stage(
    report: Mapping[str, Any], run: str, store: str, stage: str, outcome: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the report with the outcome of one more stage; the last try of a stage is the one that counts."""
    stores: dict[str, Any] = {name: dict(value) for name, value in report.get("stores", {}).items()}
    entry = stores.setdefault(store, {"stages": []})
    line = {
        "stage": stage,
        "started": outcome.get("started"),
        "ended": outcome.get("ended"),
        "seconds": _seconds(outcome),
        "ok": bool(outcome.get("ok")),
        "changed": bool(outcome.get("changed")),
        "error": outcome.get("error"),
        "result": outcome.get("result") or {},
    }
    entry["stages"] = [*entry["stages"], line]
    entry.update(_summary(entry["stages"]))
    return {**report, "run": run, "stores": stores}


def _seconds(outcome: Mapping[str, Any]) -> float | None:
    try:
        started = datetime.fromisoformat(str(outcome["started"]))
        ended = datetime.fromisoformat(str(outcome["ended"]))
    except (KeyError, ValueError):
        return None
    return round((ended - started).total_seconds(), 3)


def _summary(stages: list[dict[str, Any]]) -> dict[str, Any]:
    last = {line["stage"]: line for line in stages if line["ok"]}
    summary: dict[str, Any] = {}
    for name, (stage, path) in SUMMARY.items():
        value: Any = last.get(stage, {}).get("result")
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            summary[name] = value
    if "follow" in last:
        summary["follow_seconds"] = last["follow"]["seconds"]
    return summary


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1d2733; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #d8dee6; vertical-align: top; }
.failed { color: #a11; } .done { color: #176b3a; } .bar { background: #3b7dd8; height: .8rem; min-width: 2px; }
code { background: #f2f4f7; padding: 0 .2rem; } pre { white-space: pre-wrap; font-size: 13px; }
"""


def page(report: Mapping[str, Any]) -> str:
    """Render the report as one HTML page without any outside resource."""
    sections = [_store_section(name, value) for name, value in sorted(report.get("stores", {}).items())]
    title = html.escape(f"Run {report.get('run', '')}")
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1>{''.join(sections)}</html>\n"
    )


def _store_section(name: str, store: Mapping[str, Any]) -> str:
    stages = store["stages"]
    longest = max((line["seconds"] or 0.0 for line in stages), default=0.0) or 1.0
    rows = "".join(_stage_row(line, longest) for line in stages)
    figures = "".join(
        f"<tr><th>{html.escape(key.replace('_', ' '))}<td>{html.escape(str(value))}"
        for key, value in store.items()
        if key != "stages"
    )
    return (
        f"<h2>{html.escape(name)}</h2><table>{figures}</table>"
        f"<table><tr><th>stage<th>started<th>seconds<th><th>outcome{rows}</table>"
    )


def _stage_row(line: Mapping[str, Any], longest: float) -> str:
    seconds = line["seconds"]
    width = round(100 * (seconds or 0.0) / longest)
    outcome = "<span class='done'>done</span>" if line["ok"] else "<span class='failed'>failed</span>"
    if line["error"]:
        outcome += f"<br>{html.escape(str(line['error']))}"
    facts = ", ".join(
        f"{key.replace('_', ' ')} {value}"
        for key, value in line["result"].items()
        if isinstance(value, (str, int, float))
    )
    return (
        f"<tr><td>{html.escape(line['stage'])}<td>{html.escape(str(line['started'] or ''))}"
        f"<td>{'' if seconds is None else seconds}<td><div class='bar' style='width:{width}%'></div>"
        f"<td>{outcome}<br><small>{html.escape(facts)}</small>"
    )
