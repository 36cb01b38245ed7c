# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules over `tutor k8s` have in common; twin of the doc fragment `tutor_k8s`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .stores.base import Finding
from .tutor import Tutor
from .tutor_k8s import Cluster
from .tutor_k8s_wanted import Wanted
from .tutor_module import open_tutor

K8S_OPTIONS: dict[str, Any] = {
    "deployments": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "mutually_exclusive": [("replicas", "autoscaling")],
        "required_one_of": [("replicas", "autoscaling")],
        "options": {
            "name": {"type": "str", "required": True},
            "replicas": {"type": "int"},
            "autoscaling": {
                "type": "dict",
                "options": {
                    "min": {"type": "int", "required": True},
                    "max": {"type": "int", "required": True},
                    "cpu": {"type": "int"},
                    "memory": {"type": "int"},
                },
            },
            "disruption_budget": {"type": "bool", "default": False},
            "requests": {"type": "dict", "default": {}},
            "limits": {"type": "dict", "default": {}},
        },
    },
    "files_shared": {"type": "bool", "default": False},
    "kubeconfig": {"type": "path"},
}


def open_k8s(module: AnsibleModule) -> Tutor:
    """Open the Tutor root that the task names; kubectl, whoever calls it, uses the cluster that the task names."""
    if module.params["kubeconfig"]:
        os.environ["KUBECONFIG"] = module.params["kubeconfig"]
    return open_tutor(module)


def shown_findings(found: Iterable[Finding]) -> dict[str, Any]:
    """Describe findings for the result."""
    listed = list(found)
    return {
        "findings": [finding.as_dict() for finding in listed],
        "blocked": any(finding.blocks for finding in listed),
    }


def shown_deployments(cluster: Cluster, record: Iterable[Wanted]) -> dict[str, Any]:
    """Describe the deployments for the result."""
    fixed = {one.name: one.replicas for one in record}
    drivers = {
        name: next((one.name for one in cluster.autoscalers if one.scales(name)), None) for name in cluster.deployments
    }
    return {
        name: {
            "replicas": deployment.replicas,
            "available": deployment.available,
            "recorded": fixed.get(name),
            "autoscaler": drivers[name],
        }
        for name, deployment in sorted(cluster.deployments.items())
    }
