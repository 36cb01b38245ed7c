# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the modules over C(tutor k8s) share."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation only; twin of K8S_OPTIONS in module_utils/tutor_k8s_module.py."""

    DOCUMENTATION = r"""
options:
  deployments:
    description:
      - Deployments and what is wanted of them.
      - Each has either O(deployments[].replicas) or O(deployments[].autoscaling).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of a stateless deployment of Tutor or one of its plugins, such as V(lms), V(cms), V(lms-worker),
            V(cms-worker), V(mfe), V(notes), V(discovery), or V(forum) with Tutor 18.
        type: str
        required: true
      replicas:
        description: Number of pods.
        type: int
      autoscaling:
        description:
          - A HorizontalPodAutoscaler for the deployment. It needs at least one target, and containers that request what
            the target is a percentage of.
        type: dict
        suboptions:
          min:
            description: Number of pods that there are at least.
            type: int
            required: true
          max:
            description: Number of pods that there are at most.
            type: int
            required: true
          cpu:
            description: Use of CPU to aim at, in percent of the requests.
            type: int
          memory:
            description: Use of memory to aim at, in percent of the requests.
            type: int
      disruption_budget:
        description:
          - Whether to have a PodDisruptionBudget, so that draining nodes takes one pod of the deployment at a time.
        type: bool
        default: false
      requests:
        description:
          - What a pod reserves, as V(cpu) and V(memory) in quantities of Kubernetes.
          - Tutor's own manifests request no CPU. What they say returns at its next C(k8s start) once this is dropped.
        type: dict
        default: {}
      limits:
        description: What a pod may use at most, as V(cpu) and V(memory).
        type: dict
        default: {}
  files_shared:
    description:
      - States that all pods see the same files of learners in a way that is not recognised.
      - Recognised are the plugin minio, other storages of django-storages in C(DEFAULT_FILE_STORAGE) or C(STORAGES),
        and volumes with access mode C(ReadWriteMany) at C(/openedx/media).
    type: bool
    default: false
  kubeconfig:
    description:
      - File that leads kubectl to the cluster, readable by the owner of the root.
      - Without it, E(KUBECONFIG), else C(~/.kube/config) of the owner, exactly as for C(tutor k8s).
    type: path
attributes:
  platform:
    description: Hosts from which C(tutor k8s) is used.
    platforms: posix
    support: full
requirements:
  - kubectl on the host
"""
