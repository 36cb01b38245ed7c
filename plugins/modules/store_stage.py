#!/usr/bin/python
# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: store_stage
short_description: Run one stage of one store's journey on the app server
version_added: 0.1.0
description:
  - Starts the unit C(tutorops-stage@STORE:STAGE) that the role C(tutorops.scale.edge) has put on the app server,
    shows how it gets on, and returns what came of it.
  - The unit runs by itself. When the connection is lost the task tries again to reach it; when the controller dies the
    unit goes on, and the next run of the same task joins it. Stages are idempotent, so that is always right.
author:
  - Tutor Ops contributors (@tutorops)
options:
  store:
    description: The store.
    type: str
    required: true
  stage:
    description: The stage.
    type: str
    choices: [plan, prepare, follow, compare, cutover, rollback, commit, detach, restore, status]
    required: true
  timeout:
    description:
      - Seconds to wait for the end of the stage. After that the task fails, but the stage goes on.
    type: int
    default: 86400
  again:
    description: Whether O(stage=cutover) is wanted although somebody rolled the store back on purpose.
    type: bool
    default: false
  attempts:
    description: How often a flip is tried that had to be postponed because work in flight did not end.
    type: int
    default: 10
  limits:
    description: Bounds of a flip, in seconds, that override those in the store's settings, such as C(hold_seconds).
    type: dict
    default: {}
  report:
    description:
      - Where the controller records what came of the stage, as C(report.json) and, for a person to read,
        C(report.html). Their owner alone can read them. What stages return holds no secret.
    type: dict
    suboptions:
      directory:
        description: Folder that holds the reports of all runs; made when it is missing.
        type: path
        required: true
      run:
        description: Name of the run, used as the name of its folder.
        type: str
        required: true
  interval:
    description: Seconds between two lines of progress.
    type: float
    default: 5.0
  join_only:
    description:
      - Never start the stage, only look at it for O(interval) seconds. This is how the task goes on watching a stage
        that it has started.
    type: bool
    default: false
extends_documentation_fragment:
  - tutorops.scale.attributes
  - tutorops.scale.attributes.action
attributes:
  check_mode:
    description: Runs nothing, and tells from where the store stands whether the stage would change anything.
  diff_mode:
    description: What a stage changes has no earlier and later text.
    support: none
  platform:
    description: App servers that the role C(tutorops.scale.edge) has set up.
"""

EXAMPLES = r"""
- name: Seed the cluster from Tutor's MySQL, and keep it following
  tutorops.scale.store_stage:
    store: mysql
    stage: follow

- name: Let the cluster take over, within three seconds or not at all
  tutorops.scale.store_stage:
    store: mysql
    stage: cutover
    limits:
      hold_seconds: 3
"""

RETURN = r"""
result:
  description: What the stage tells; its keys depend on the stage.
  type: dict
  returned: when the stage has ended
  sample: {"serving": "cluster", "flip": {"hold_seconds": 0.06}}
started:
  description: When the stage began.
  type: str
  returned: when the stage has ended
  sample: "2026-11-23T12:00:00+00:00"
ended:
  description: When the stage ended.
  type: str
  returned: when the stage has ended
  sample: "2026-11-23T12:00:09+00:00"
postponed:
  description: Whether a flip was given up, with nothing changed, because work in flight did not end.
  type: bool
  returned: when the stage has ended
progress:
  description: What the stage does now, or did last.
  type: dict
  returned: always
joined:
  description: Whether the stage ran already.
  type: bool
  returned: always
running:
  description: Whether the stage still runs.
  type: bool
  returned: always
msg:
  description: Why the stage failed, or in check mode what would happen.
  type: str
  returned: on failure and in check mode
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.stage_unit import STAGES, StageUnit, would_change
from ansible_collections.tutorops.scale.plugins.module_utils.stores.base import StoreError

ARGUMENTS = {
    "store": {"type": "str", "required": True},
    "stage": {"type": "str", "required": True, "choices": list(STAGES)},
    "timeout": {"type": "int", "default": 86400},
    "again": {"type": "bool", "default": False},
    "attempts": {"type": "int", "default": 10},
    "limits": {"type": "dict", "default": {}},
    "report": {
        "type": "dict",
        "options": {"directory": {"type": "path", "required": True}, "run": {"type": "str", "required": True}},
    },
    "interval": {"type": "float", "default": 5.0},
    "join_only": {"type": "bool", "default": False},
}


def predict(module: AnsibleModule, unit: StageUnit) -> dict[str, Any]:
    """What the stage would do."""
    store, stage = module.params["store"], module.params["stage"]
    standing = standing_of(module, store) if unit.installed() else {}
    changed = would_change(stage, standing)
    stands = f" (it stands at stage {standing['stage']})" if standing.get("stage") else ""
    verb = "change something" if changed else "change nothing"
    return {
        "changed": changed,
        "msg": f"stage {stage} of store {store}{stands} would run on the app server, and {verb}",
    }


def standing_of(module: AnsibleModule, store: str) -> dict[str, Any]:
    """Where the store stands; nothing when that cannot be found out."""
    code, out, _ = module.run_command(["/usr/local/sbin/tutorops", "status", "--json"])
    if code != 0:
        return {}
    try:
        return dict(json.loads(out).get(store, {}))
    except ValueError:
        return {}


def run(unit: StageUnit, params: dict[str, Any]) -> dict[str, Any]:
    """Start or join the stage, and tell how far it has come after one interval."""
    request = {name: params[name] for name in ("again", "attempts", "limits")}
    joined = params["join_only"] or unit.start(request)
    record = unit.watch(params["interval"])
    answer = {"joined": joined, "running": not record.get("ended"), "progress": record.get("progress", {})}
    if answer["running"]:
        return {**answer, "changed": False}
    told = {name: record.get(name) for name in ("result", "started", "ended")}
    answer.update(told, changed=bool(record.get("changed")), postponed=bool(record.get("postponed")))
    if not record.get("ok"):
        answer.update(failed=True, msg=record.get("error") or "the stage failed without a reason")
    return answer


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    unit = StageUnit(module.params["store"], module.params["stage"])
    try:
        answer = predict(module, unit) if module.check_mode else run(unit, module.params)
    except StoreError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
