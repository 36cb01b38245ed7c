#!/usr/bin/env python3
"""The journey to watch: a lab with data and traffic, the real `offload.yml`, and what the learners noticed.

Leaves the lab up. Writes build/demo/report.json, which joins the report of the run with the traffic's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lablib.errors import LabError
from lablib.settings import SHARED, Settings
from lablib.shell import say
from trafficlib.journey import joined
from trafficlib.records import Records

PROJECT = SHARED.parent.parent


def environment() -> dict[str, str]:
    """What ansible-playbook needs in a checkout."""
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / ".ansible" / "collections"),
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "ANSIBLE_FORCE_COLOR": "1" if sys.stdout.isatty() else "0",
    }


def call(*command: str | Path, cwd: Path = PROJECT, env: dict[str, str] | None = None) -> None:
    """Run a command in sight of the user; its failure ends the demonstration."""
    say(f"\n$ {' '.join(map(str, command))}")
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=env, check=False)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(map(str, command))}` ended with {done.returncode}.")


def table(report: dict[str, Any]) -> str:
    """The report to read."""
    rows = [("store", "figure", "value")]
    for name, one in sorted(report["stores"].items()):
        rows += [(name, key, str(one[key])) for key in sorted(one)]
    for part in ("traffic", "ledger"):
        rows += [(part, key, str(value)) for key, value in report[part].items() if not isinstance(value, dict | list)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def main() -> int:
    """Show it; 0 when no request failed, nothing was lost or duplicated, and no course lost its structure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=PROJECT / "build" / "demo")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--stores", metavar="STORE,...", help="which stores are moved (TUTOROPS_LAB_STORES)")
    given = parser.parse_args()
    output = given.output.absolute()
    if given.stores:
        # The inventory reads it, too.
        os.environ["TUTOROPS_LAB_STORES"] = given.stores
    try:
        settings = Settings.from_environment(os.environ)
        call(sys.executable, SHARED / "lab.py", "up")
        traffic = output / "traffic"
        call(
            sys.executable,
            SHARED / "traffic.py",
            "start",
            "--target",
            settings.address(settings.app),
            "--rate",
            str(given.rate),
            "--output",
            traffic,
        )
        try:
            call(
                "ansible-playbook",
                "--inventory",
                SHARED / "inventory" / "hosts.yml",
                "offload.yml",
                "--extra-vars",
                json.dumps({"offload_report_dir": str(output / "reports")}),
                cwd=PROJECT / "playbooks",
                env=environment(),
            )
        finally:
            stopped = subprocess.run(
                [sys.executable, str(SHARED / "traffic.py"), "stop", "--output", str(traffic)], check=False
            )
        latest = max((output / "reports").glob("*/report.json"), key=lambda path: path.stat().st_mtime)
        records = Records(traffic)
        report = joined(json.loads(latest.read_text()), records.result() or {}, records.requests())
        (output / "report.json").write_text(json.dumps(report, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        say(f"\n{table(report)}\n\n{output / 'report.json'}; the page of the run is {latest.with_name('report.html')}")
        say(
            f"The lab is up: `make lab-status`, `docker exec -it {settings.app} tutorops status`. "
            "docs/lab.md says more, and `make lab-down` removes it."
        )
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return stopped.returncode


if __name__ == "__main__":
    sys.exit(main())
