# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tutor_k8s_scale
short_description: Scale deployments of a Tutor platform on Kubernetes so that it lasts
description:
  - Brings deployments to a number of replicas through C(tutor k8s scale), or puts autoscalers in charge of them, and
    waits until their pods are available.
  - Tutor stores nowhere what C(tutor k8s scale) did. So the numbers are recorded in the Tutor plugin C(tutorops_k8s),
    which patches the manifests, and every later C(tutor k8s start) brings them about.
  - Everything is checked first. An unknown deployment, one that keeps data, or files of learners that the pods would
    not share are refused before anything changes.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
options:
  timeout:
    description: Seconds to wait until all pods are available before the task fails with the reason.
    type: float
    default: 300.0
  backups:
    description: How many backups C(config.yml.TIME.bak) to keep beside C(config.yml); V(0) makes none.
    type: int
    default: 5
extends_documentation_fragment:
  - tutorops.scale.tutor_k8s
  - tutorops.scale.tutor
  - tutorops.scale.attributes
attributes:
  check_mode:
    description: Reads the cluster, and tries the plugin in a throw-away copy of the root.
  diff_mode:
    description: Shows what is set in the cluster and what is recorded.
notes:
  - O(deployments) is the whole list. What was recorded before and is not named any more is released; it keeps the
    number of pods that it has, and loses the autoscaler and the budget that this module gave it.
  - A HorizontalPodAutoscaler of somebody else is never fought. Its deployment is reported in RV(left), keeps its
    number, and is not recorded.
  - Only what differs is changed in the cluster. Other settings of Tutor that wait for C(tutor k8s start) go on waiting.
seealso:
  - module: tutorops.scale.tutor_k8s_info
  - module: tutorops.scale.tutor_plugin
"""

EXAMPLES = r"""
- name: Run more pods
  tutorops.scale.tutor_k8s_scale:
    owner: tutor
    deployments:
      - name: lms
        replicas: 4
        disruption_budget: true
      - name: lms-worker
        replicas: 2

- name: Let the load decide
  tutorops.scale.tutor_k8s_scale:
    owner: tutor
    deployments:
      - name: lms
        autoscaling: {min: 2, max: 8, cpu: 70}
        requests: {cpu: 500m, memory: 2Gi}
        limits: {memory: 3Gi}
        disruption_budget: true
"""

RETURN = r"""
root:
  description: The Tutor root.
  type: str
  returned: success
deployments:
  description: All deployments of the platform afterwards; in check mode, as they are.
  type: dict
  returned: success
  sample: {"lms": {"replicas": 4, "available": 4, "recorded": 4, "autoscaler": null}}
scaled:
  description: Deployments whose number of replicas changed, or in check mode would change.
  type: dict
  returned: success
  sample: {"lms": {"before": 1, "after": 4}}
left:
  description: Deployments that were left to an autoscaler of somebody else, with its name.
  type: dict
  returned: success
  sample: {"cms": "cms-hpa"}
drift:
  description: Where the cluster was not as recorded by an earlier run, because somebody changed it since.
  type: list
  elements: str
  returned: success
  sample: ["lms: 4 replicas are recorded, 2 are set"]
findings:
  description: What was found about the deployments and the cluster, with an id and a cure each.
  type: list
  elements: dict
  returned: success
env_changed:
  description: Rendered files whose content changed, relative to C(env/).
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_config_file import dump
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s import Kubectl
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_module import (
    K8S_OPTIONS,
    open_k8s,
    shown_deployments,
    shown_findings,
)
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_scale import scale
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_wanted import read_wanted
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_module import TUTOR_OPTIONS, fail


def difference(done):
    """Describe for the diff what is set and what is recorded, before and afterwards."""
    live = {name: one.replicas for name, one in done.before.deployments.items()}
    names = {one.name for one in [*done.record_before, *done.plan.record]}
    return {
        "before_header": "replicas in the cluster, and what Tutor's manifests keep",
        "after_header": "replicas in the cluster, and what Tutor's manifests keep",
        "before": _text(live, names, done.record_before),
        "after": _text({**live, **done.plan.scale}, names, done.plan.record),
    }


def _text(live, names, record):
    return dump(
        {
            "cluster": {name: live[name] for name in names if name in live},
            "recorded": {one.name: {k: v for k, v in one.as_dict().items() if k != "name"} for one in record},
        }
    )


def main():
    module = AnsibleModule(
        argument_spec=dict(
            TUTOR_OPTIONS,
            **K8S_OPTIONS,
            timeout={"type": "float", "default": 300.0},
            backups={"type": "int", "default": 5},
        ),
        supports_check_mode=True,
    )
    params = module.params
    tutor = open_k8s(module)
    try:
        done = scale(
            tutor,
            Kubectl(tutor),
            read_wanted(params["deployments"]),
            files_shared=params["files_shared"],
            timeout=params["timeout"],
            check_mode=module.check_mode,
            backups=params["backups"],
        )
    except (TutorError, OSError) as error:
        fail(module, tutor, error)
    for name, autoscaler in done.plan.left.items():
        module.warn(f"{name} is left to HorizontalPodAutoscaler {autoscaler}, and its number is not recorded.")
    for line in done.plan.drift:
        module.warn(f"Drift: {line}.")
    before = done.before.deployments
    module.exit_json(
        changed=done.changed,
        root=str(tutor.root),
        deployments=shown_deployments(done.after, done.plan.record),
        scaled={name: {"before": before[name].replicas, "after": after} for name, after in done.plan.scale.items()},
        left=done.plan.left,
        drift=done.plan.drift,
        findings=shown_findings(done.findings)["findings"],
        env_changed=done.outcome.env_changed,
        diff=difference(done),
    )


if __name__ == "__main__":
    main()
