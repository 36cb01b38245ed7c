# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tutor_job
short_description: Run a job of a local Tutor platform
description:
  - Runs C(tutor local do JOB), and refuses the calls with which Tutor would do nothing and report success.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  job:
    description: Name of the job, as C(tutor local do --help) lists it.
    type: str
    required: true
  args:
    description: Arguments of the job.
    type: list
    elements: str
    default: []
  limit:
    description:
      - For the job C(init), the one service or plugin to initialise; V(mysql), V(lms), V(cms), V(meilisearch) (from
        Tutor 19 on) or the name of an enabled plugin.
    type: str
  stdin:
    description:
      - Answers to what the job asks for, such as the password of C(createuser).
      - Tutor itself hands it on to docker as an argument, so it is visible in the list of processes while the job runs.
    type: str
  timeout:
    description: Seconds after which a job that has not ended is stopped, and the task fails.
    type: float
    default: 3600.0
extends_documentation_fragment:
  - tutorops.scale.tutor
  - tutorops.scale.attributes
attributes:
  check_mode:
    description: Checks the call and runs nothing.
  diff_mode:
    description: What a job changes is not known to Tutor.
    support: none
notes:
  - Reports a change whenever a job ran, except for C(print-edx-platform-setting), which only reads.
  - Jobs print their scripts with the passwords of the platform in clear, and Tutor gives them to docker as arguments.
    The output is masked here; the list of processes is out of reach.
  - C(init) can be run again, but it sets the passwords of MySQL's users to those of the configuration.
  - The root is locked while a job runs.
seealso:
  - module: tutorops.scale.tutor_local
"""

EXAMPLES = r"""
- name: Initialise the plugin notes
  tutorops.scale.tutor_job:
    owner: tutor
    job: init
    limit: notes

- name: Create an administrator
  tutorops.scale.tutor_job:
    owner: tutor
    job: createuser
    args: [--superuser, --staff, admin, admin@example.com]
    stdin: "{{ vault_admin_password }}"
"""

RETURN = r"""
root:
  description: The Tutor root.
  type: str
  returned: success
services:
  description: Services in whose containers the job ran, in order.
  type: list
  elements: str
  returned: success
  sample: [mysql, lms]
stdout:
  description: What the job printed, with secrets masked.
  type: str
  returned: success
stderr:
  description: Its warnings, with secrets masked.
  type: str
  returned: success
seconds:
  description: How long it took.
  type: float
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_jobs import READ_ONLY, check, run, secrets_in
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_module import TUTOR_OPTIONS, fail, open_tutor


def main():
    module = AnsibleModule(
        argument_spec=dict(
            TUTOR_OPTIONS,
            job={"type": "str", "required": True},
            args={"type": "list", "elements": "str", "default": []},
            limit={"type": "str"},
            stdin={"type": "str", "no_log": True},
            timeout={"type": "float", "default": 3600.0},
        ),
        supports_check_mode=True,
    )
    params = module.params
    call = (params["job"], params["args"], params["limit"], params["stdin"])
    module.no_log_values.update(secrets_in(params["args"], params["stdin"]))
    tutor = open_tutor(module)
    changed = params["job"] not in READ_ONLY
    try:
        if module.check_mode:
            check(tutor, *call)
            module.exit_json(changed=changed, root=str(tutor.root), services=[], stdout="", stderr="", seconds=0.0)
        result = run(tutor, *call, timeout=params["timeout"])
    except (TutorError, OSError) as error:
        fail(module, tutor, error)
    module.exit_json(
        changed=changed,
        root=str(tutor.root),
        services=result.services,
        stdout=result.stdout,
        stderr=result.stderr,
        seconds=result.seconds,
    )


if __name__ == "__main__":
    main()
