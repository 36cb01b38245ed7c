# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: tutor_k8s_info
short_description: Tell whether a Tutor platform on Kubernetes can be scaled, and would survive a failure
description:
  - Reads the platform's namespace and the nodes of the cluster, and gives findings with ids and cures. Changes nothing.
  - Judges what O(deployments) asks for as M(tutorops.scale.tutor_k8s_scale) would, and in any case the control plane,
    etcd, the nodes and their zones, disruption budgets, and drift from what was recorded.
version_added: 0.1.0
author:
  - Tutor Ops contributors (@tutorops)
extends_documentation_fragment:
  - tutorops.scale.tutor_k8s
  - tutorops.scale.tutor
  - tutorops.scale.attributes.reads
seealso:
  - module: tutorops.scale.tutor_k8s_scale
"""

EXAMPLES = r"""
- name: Look before scaling
  tutorops.scale.tutor_k8s_info:
    owner: tutor
    deployments:
      - name: lms
        replicas: 4
  register: preflight

- name: Stop at what blocks
  ansible.builtin.assert:
    that: not preflight.blocked
"""

RETURN = r"""
root:
  description: The Tutor root.
  type: str
  returned: success
namespace:
  description: The namespace of the platform.
  type: str
  returned: success
  sample: openedx
deployments:
  description: Deployments of the platform.
  type: dict
  returned: success
  sample: {"lms": {"replicas": 4, "available": 4, "recorded": 4, "autoscaler": null}}
recorded:
  description: What the plugin C(tutorops_k8s) records, in the form of O(deployments).
  type: list
  elements: dict
  returned: success
nodes:
  description: Nodes of the cluster; null when this user may not read them.
  type: list
  elements: dict
  returned: success
  sample: [{"name": "n1", "control_plane": false, "usable": true, "zone": "a"}]
findings:
  description: What was found, with an id, a severity (info, warning or blocker), a subject, a message and a cure each.
  type: list
  elements: dict
  returned: success
blocked:
  description: Whether any finding is a blocker.
  type: bool
  returned: success
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils.tutor import TutorError
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s import Kubectl
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_module import (
    K8S_OPTIONS,
    open_k8s,
    shown_deployments,
    shown_findings,
)
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_scale import adapted, judged, recorded
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_wanted import read_wanted
from ansible_collections.tutorops.scale.plugins.module_utils.tutor_module import TUTOR_OPTIONS, fail


def main():
    module = AnsibleModule(argument_spec=dict(TUTOR_OPTIONS, **K8S_OPTIONS), supports_check_mode=True)
    params = module.params
    tutor = open_k8s(module)
    try:
        with tutor.locked():
            cluster = Kubectl(tutor).cluster()
            wanted = adapted(cluster, read_wanted(params["deployments"]))
            found = judged(tutor, cluster, wanted, params["files_shared"])
            record = recorded(tutor)
    except (TutorError, OSError) as error:
        fail(module, tutor, error)
    module.exit_json(
        changed=False,
        root=str(tutor.root),
        namespace=cluster.namespace,
        deployments=shown_deployments(cluster, record),
        recorded=[one.as_dict() for one in record],
        nodes=None if cluster.nodes is None else [asdict(node) for node in cluster.nodes],
        **shown_findings(found),
    )


if __name__ == "__main__":
    main()
