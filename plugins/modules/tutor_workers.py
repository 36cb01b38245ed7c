# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tutor_workers
short_description: Set how many worker processes a Tutor platform has, worked out from what the server can carry
description:
  - Counts the worker processes of uWSGI and Celery in the containers of C(lms), C(cms), C(lms-worker) and
    C(cms-worker), measures the memory that each takes, and that everything else on the host needs.
  - Works out from that the numbers of workers, or refuses numbers that memory cannot hold, with the largest possible.
  - Saves them in Tutor, C(OPENEDX_LMS_UWSGI_WORKERS) and C(OPENEDX_CMS_UWSGI_WORKERS) in C(config.yml), and the
    concurrency of Celery, for which Tutor has no setting, through the generated plugin C(tutorops_workers), which
    records the choice.
  - The containers get them when they are rolled, see M(tutorops.scale.tutor_local). In check mode it only reads.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  lms:
    description: &want
      - A number of processes, V(auto) to work it out, V(keep) to leave it as it is, or V(default) for what Tutor does
        by itself.
      - V(auto) respects a number that was set by hand, and an earlier choice of its own as long as that fits.
    type: str
    default: auto
  cms:
    description: *want
    type: str
    default: auto
  lms_worker:
    description: *want
    type: str
    default: auto
  cms_worker:
    description: *want
    type: str
    default: auto
  memory_reserve:
    description: Percent of the memory that stays free, for growth, jobs and the cache of files.
    type: int
    default: 20
  memory_limit:
    description: Memory of the host that counts in all, such as V(16G); empty for all that there is.
    type: str
    default: ""
  memory_needs:
    description:
      - Memory that other services need at least, by service, such as C(4G) for C(mysql); for those that have not grown
        to their size yet. Without it, what they take now.
    type: dict
    default: {}
  young_worker:
    description:
      - What a worker counts for at least while its container has run for less than an hour, because it has not grown to
        its size yet.
    type: str
    default: 500M
  again:
    description: Have V(auto) choose anew where it chose before, and forget which numbers were measured and worse.
    type: bool
    default: false
  worse:
    description: Numbers by service to record as measured and worse than what is there now.
    type: dict
  backups:
    description: How many backups C(config.yml.TIME.bak) to keep beside C(config.yml); V(0) makes none.
    type: int
    default: 5
extends_documentation_fragment:
  - tutorops.scale.tutor
  - tutorops.scale.attributes
attributes:
  check_mode:
    description: Works everything out, and renders in a throw-away copy of the root and of the plugins.
  diff_mode:
    description: Shows the numbers as they are and as they should be, the settings, and the files rendered anew.
notes:
  - Reads the memory of all processes of the platform, and so runs as root.
  - Memory is the proportional set size (PSS) in C(/proc), which counts pages that processes share once in all.
seealso:
  - module: tutorops.scale.tutor_local
  - module: tutorops.scale.tutor_load
"""

EXAMPLES = r"""
- name: Give the web workers their numbers, and leave Celery alone
  tutorops.scale.tutor_workers:
    owner: tutor
    lms: auto
    cms: "4"
    lms_worker: keep
    cms_worker: keep
  register: workers

- name: Bring them into force while learners keep learning
  tutorops.scale.tutor_local:
    owner: tutor
    state: rolled
    services: [openedx]
"""

RETURN = r"""
numbers:
  description: Worker processes that each service should have in each of its containers.
  type: dict
  returned: success
  sample: {"lms": 8, "cms": 4, "lms-worker": 4, "cms-worker": 2}
running:
  description: Worker processes counted in each container of each service.
  type: dict
  returned: success
  sample: {"lms": [2], "cms": [2], "lms-worker": [4], "cms-worker": [4]}
due:
  description: Whether anything has to be set or rolled until RV(numbers) are in force.
  type: bool
  returned: success
reached:
  description: Whether RV(running) is RV(numbers) everywhere.
  type: bool
  returned: success
sizes:
  description: Bytes that a worker of each service counts for.
  type: dict
  returned: success
explanation:
  description: The inputs, the formula and the result, line by line.
  type: list
  elements: str
  returned: success
findings:
  description: What was found, with an id, a severity (info, warning or blocker), a subject, a message and a cure each.
  type: list
  elements: dict
  returned: success
limit:
  description: Bytes that are never exceeded.
  type: int
  returned: success
peak:
  description: Bytes in use at the highest step of a roll to RV(numbers).
  type: int
  returned: success
memory:
  description: Bytes in use on the host now.
  type: int
  returned: success
in_force:
  description: The numbers in the definitions of the services as they are rendered, as settings.
  type: dict
  returned: success
options_before:
  description: What to ask for to have everything as it was, by option.
  type: dict
  returned: success
  sample: {"lms": "default", "cms": "4", "lms_worker": "default", "cms_worker": "keep"}
env_changed:
  description: Rendered files whose content changed, relative to C(env/).
  type: list
  elements: str
  returned: success
backup:
  description: The backup that was made of C(config.yml), or null.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_module import (
    TUTOR_OPTIONS,
    fail,
    open_tutor,
    shown_outcome,
)
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_apply import apply
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_find import Finder, Policy, parse_size
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_look import memory
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_workers_plan import (
    explanation,
    make_plan,
    read_wants,
)

SERVICES = {"lms": "lms", "cms": "cms", "lms_worker": "lms-worker", "cms_worker": "cms-worker"}


def policy_of(params):
    """Read what the task says about memory."""
    return Policy(
        reserve=params["memory_reserve"],
        limit=parse_size(params["memory_limit"]),
        needs={name: parse_size(str(size)) for name, size in params["memory_needs"].items()},
        young=parse_size(params["young_worker"]),
    )


def planned(tutor, params):
    """Look at the platform, and work out what is to be done."""
    wants = read_wants({service: params[option] for option, service in SERVICES.items()})
    worse = params["worse"]
    found = Finder(tutor, policy_of(params)).find()
    if worse is not None:
        worse = {name: int(count) for name, count in worse.items()}
    return found, make_plan(found, wants, params["again"], worse)


def difference(found, plan, shown):
    """Put the numbers before what else differs."""
    before = "".join(f"{name}: {one.size.workers}\n" for name, one in found.services.items())
    after = "".join(f"{name}: {plan.numbers[name]}\n" for name in found.services)
    return {**shown["diff"], "before": before + shown["diff"]["before"], "after": after + shown["diff"]["after"]}


def main():
    want = {"type": "str", "default": "auto"}
    module = AnsibleModule(
        argument_spec=dict(
            TUTOR_OPTIONS,
            lms=want,
            cms=want,
            lms_worker=want,
            cms_worker=want,
            memory_reserve={"type": "int", "default": 20},
            memory_limit={"type": "str", "default": ""},
            memory_needs={"type": "dict", "default": {}},
            young_worker={"type": "str", "default": "500M"},
            again={"type": "bool", "default": False},
            worse={"type": "dict"},
            backups={"type": "int", "default": 5},
        ),
        supports_check_mode=True,
    )
    params = module.params
    tutor = open_tutor(module)
    try:
        with tutor.locked():
            found, plan = planned(tutor, params)
            outcome = apply(tutor, plan, check_mode=module.check_mode, backups=params["backups"])
        host = memory()
    except (TutorError, OSError) as error:
        fail(module, tutor, error)
    services = found.services
    reached = all(set(one.running) == {plan.numbers[name]} for name, one in services.items())
    shown = shown_outcome(outcome, set(), set())
    module.exit_json(
        changed=outcome.changed,
        root=str(tutor.root),
        numbers=plan.numbers,
        running={name: list(one.running) for name, one in services.items()},
        due=outcome.changed or not reached,
        reached=reached,
        sizes={name: one.size.worker for name, one in services.items()},
        explanation=explanation(found, plan, params["memory_reserve"]),
        findings=[finding.as_dict() for finding in plan.findings],
        limit=found.machine.limit,
        peak=plan.peak,
        memory=host.total - host.available,
        in_force=found.in_force,
        options_before={option: plan.before[service] for option, service in SERVICES.items()},
        env_changed=outcome.env_changed,
        backup=outcome.backup,
        diff=difference(found, plan, shown),
    )


if __name__ == "__main__":
    main()
