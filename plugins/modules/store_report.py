#!/usr/bin/python
# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: store_report
short_description: Add a stage to the report of a run
version_added: 0.1.0
description:
  - Keeps the report of one run of an operation on the host it runs on, usually the controller, as C(report.json) and,
    for a person to read, C(report.html), both below O(directory)/O(run).
  - The files can be read by their owner only. What stages return holds no secret, and neither does the report.
author:
  - Tutor Ops contributors (@tutorops)
options:
  directory:
    description: Folder that holds the reports of all runs; made when it is missing.
    type: path
    required: true
  run:
    description: Name of the run, used as the name of its folder.
    type: str
    required: true
  store:
    description: The store that the stage belongs to.
    type: str
    required: true
  stage:
    description: The stage.
    type: str
    required: true
  outcome:
    description: What M(tutorops.scale.store_stage) returned for the stage.
    type: dict
    required: true
extends_documentation_fragment:
  - tutorops.scale.attributes
attributes:
  diff_mode:
    description: A report has no earlier state worth showing.
    support: none
  platform:
    description: Any, usually the controller.
"""

EXAMPLES = r"""
- name: Record a stage
  tutorops.scale.store_report:
    directory: ./reports
    run: 20261123T120000Z-offload
    store: mysql
    stage: follow
    outcome: "{{ follow.outcome }}"
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The JSON file.
  type: str
  returned: always
report:
  description: The whole report of the run so far.
  type: dict
  returned: always
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.paths import write_file
from ansible_collections.tutorops.scale.plugins.module_utils.report import add_stage, page


def read(path: Path) -> dict[str, Any]:
    """The report so far; a run starts with an empty one."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            directory=dict(type="path", required=True),
            run=dict(type="str", required=True),
            store=dict(type="str", required=True),
            stage=dict(type="str", required=True),
            outcome=dict(type="dict", required=True),
        ),
        supports_check_mode=True,
    )
    given = module.params
    folder = Path(given["directory"]) / given["run"]
    path = folder / "report.json"
    try:
        report = add_stage(read(path), given["run"], given["store"], given["stage"], given["outcome"])
        if not module.check_mode:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(path, json.dumps(report, indent=2, sort_keys=True) + "\n")
            write_file(folder / "report.html", page(report))
    except (OSError, ValueError) as problem:
        module.fail_json(
            msg=f"the report below {folder} cannot be written ({problem}): set offload_report_dir to a folder that can"
        )
    module.exit_json(changed=True, path=str(path), report=report)


if __name__ == "__main__":
    main()
