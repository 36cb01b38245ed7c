# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a platform on Kubernetes looks like, read by kubectl just as the tutor command line does."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .tutor import Tutor
from .tutor_config_file import parse_documents
from .tutor_errors import TutorError
from .tutor_process import Result, environment_for, run_as

Json = dict[str, Any]

#: Marks the autoscalers and budgets that come from this collection's Tutor plugin.
COMPONENT_LABEL = "app.kubernetes.io/component"
NAME_LABEL = "app.kubernetes.io/name"
COMPONENT = "tutorops-k8s"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_KINDS = (
    "deployments.v1.apps",
    "horizontalpodautoscalers.v2.autoscaling",
    "poddisruptionbudgets.v1.policy",
    "persistentvolumeclaims",
)


@dataclass(frozen=True)
class Deployment:
    """A deployment, with what of it decides whether and how it may be scaled."""

    name: str
    replicas: int
    available: int
    settled: bool
    """Whether the controller has seen the last change and runs exactly the pods that it asks for."""
    recreated: bool
    claims: dict[str, str]
    """Mount path of each persistent volume claim, with the name of the claim."""
    containers: dict[str, Json]
    """Requests and limits of each container."""
    selector: dict[str, str]
    template_labels: dict[str, str]
    conditions: list[Json]
    last_applied: str

    @classmethod
    def read(cls, found: Json) -> Deployment:
        """Read what the API says of a deployment."""
        metadata, spec, status = found["metadata"], found["spec"], found.get("status", {})
        pod = spec["template"]["spec"]
        volumes = {
            volume["name"]: volume["persistentVolumeClaim"]["claimName"]
            for volume in pod.get("volumes", [])
            if "persistentVolumeClaim" in volume
        }
        mounts = [mount for container in pod["containers"] for mount in container.get("volumeMounts", [])]
        replicas, available = spec.get("replicas", 1), status.get("availableReplicas", 0)
        seen = status.get("observedGeneration", 0) >= metadata.get("generation", 0)
        counts = [status.get("replicas", 0), status.get("updatedReplicas", 0), available]
        return cls(
            name=metadata["name"],
            replicas=replicas,
            available=available,
            settled=seen and counts == [replicas] * 3,
            recreated=spec.get("strategy", {}).get("type") == "Recreate",
            claims={mount["mountPath"]: volumes[mount["name"]] for mount in mounts if mount["name"] in volumes},
            containers={container["name"]: container.get("resources", {}) for container in pod["containers"]},
            selector=spec["selector"].get("matchLabels", {}),
            template_labels=spec["template"]["metadata"].get("labels", {}),
            conditions=status.get("conditions", []),
            last_applied=metadata.get("annotations", {}).get(LAST_APPLIED, ""),
        )

    @property
    def main_container(self) -> str:
        """Name the container that does the work: the one of the deployment's name, else the first."""
        return self.name if self.name in self.containers else next(iter(self.containers))


@dataclass(frozen=True)
class Owned:
    """An autoscaler or a disruption budget, and whether it comes from this collection."""

    name: str
    ours: bool
    spec: Json

    @classmethod
    def read(cls, found: Json) -> Owned:
        """Read what the API says of it."""
        metadata = found["metadata"]
        return cls(metadata["name"], metadata.get("labels", {}).get(COMPONENT_LABEL) == COMPONENT, found["spec"])

    def scales(self, deployment: str) -> bool:
        """Say whether this autoscaler sets the number of replicas of a deployment."""
        target = self.spec.get("scaleTargetRef", {})
        return bool(target.get("kind") == "Deployment" and target.get("name") == deployment)

    def protects(self, deployment: Deployment) -> bool:
        """Say whether this budget selects the pods of a deployment."""
        labels = self.spec.get("selector", {}).get("matchLabels", {})
        return bool(labels) and labels.items() <= deployment.template_labels.items()


@dataclass(frozen=True)
class Node:
    """A node of the cluster."""

    name: str
    control_plane: bool
    usable: bool
    zone: str

    @classmethod
    def read(cls, found: Json) -> Node:
        """Read what the API says of a node."""
        labels, spec = found["metadata"].get("labels", {}), found.get("spec", {})
        ready = any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in found.get("status", {}).get("conditions", [])
        )
        closed = any(taint["effect"] in ("NoSchedule", "NoExecute") for taint in spec.get("taints", []))
        return cls(
            name=found["metadata"]["name"],
            control_plane=any(f"node-role.kubernetes.io/{role}" in labels for role in ("control-plane", "master")),
            usable=ready and not closed and not spec.get("unschedulable", False),
            zone=labels.get("topology.kubernetes.io/zone", ""),
        )


@dataclass(frozen=True)
class Cluster:
    """One look at the namespace of a platform and at the nodes below it; None is what may not be read."""

    namespace: str
    deployments: dict[str, Deployment]
    rendered: frozenset[str]
    """Deployments in the manifests that Tutor applies at its next `k8s start`."""
    autoscalers: list[Owned] = field(default_factory=list)
    budgets: list[Owned] = field(default_factory=list)
    claim_modes: dict[str, list[str]] = field(default_factory=dict)
    nodes: list[Node] | None = None
    etcd_members: int | None = None
    metrics: str = ""
    """Why the metrics API does not answer; empty when it does."""

    def autoscaler_of(self, deployment: str, ours: bool) -> Owned | None:
        """Find the autoscaler of a deployment that is, or is not, of this collection."""
        return next((one for one in self.autoscalers if one.ours == ours and one.scales(deployment)), None)


class Kubectl:
    """Runs kubectl as the owner of a Tutor root, in the namespace of the platform, with the cluster that Tutor uses."""

    def __init__(self, tutor: Tutor) -> None:
        self.tutor = tutor
        self.environment = environment_for(tutor.owner, os.environ, tutor.root, None)
        binary = shutil.which("kubectl", path=self.environment["PATH"])
        if not binary:
            raise TutorError("kubectl was not found on the PATH; install it on this host, as `tutor k8s` needs it too.")
        self.binary = binary
        self.namespace = str(tutor.value("K8S_NAMESPACE"))

    def run(self, *args: str, stdin: str | None = None, check: bool = True) -> Result:
        """Run `kubectl ARGS` in the platform's namespace."""
        argv = [self.binary, "--namespace", self.namespace, "--request-timeout=30s", *args]
        result = run_as(self.tutor.owner, argv, self.environment, Path("/"), stdin, timeout=120)
        if check and result.rc != 0:
            raise TutorError(self._failure(args, result))
        return result

    def _failure(self, args: tuple[str, ...], result: Result) -> str:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else "it printed no reason"
        return self.tutor.mask(
            f"`kubectl {args[0]}` failed in namespace {self.namespace}: {reason}; "
            "check KUBECONFIG, the current context and the rights of its user."
        )

    def objects(self, *args: str) -> list[Json]:
        """List objects of the API."""
        listed: list[Json] = json.loads(self.run("get", *args, "--output=json").stdout)["items"]
        return listed

    def objects_allowed(self, *args: str) -> list[Json] | None:
        """List objects that not every operator may read; None when these may not."""
        result = self.run("get", *args, "--output=json", check=False)
        if result.rc == 0:
            listed: list[Json] = json.loads(result.stdout)["items"]
            return listed
        if "Forbidden" in result.stderr:
            return None
        raise TutorError(self._failure(("get", *args), result))

    def cluster(self) -> Cluster:
        """Look at everything that scaling depends on."""
        found = self.objects(",".join(_KINDS))
        kinds: dict[str, list[Json]] = {}
        for item in found:
            kinds.setdefault(item["kind"], []).append(item)
        nodes = self.objects_allowed("nodes")
        etcd = self.objects_allowed("pods", "--namespace=kube-system", "--selector=component=etcd")
        return Cluster(
            namespace=self.namespace,
            deployments={item["metadata"]["name"]: Deployment.read(item) for item in kinds.get("Deployment", [])},
            rendered=frozenset(item["metadata"]["name"] for item in self.built() if item["kind"] == "Deployment"),
            autoscalers=[Owned.read(item) for item in kinds.get("HorizontalPodAutoscaler", [])],
            budgets=[Owned.read(item) for item in kinds.get("PodDisruptionBudget", [])],
            claim_modes={
                item["metadata"]["name"]: item["spec"].get("accessModes", [])
                for item in kinds.get("PersistentVolumeClaim", [])
            },
            nodes=None if nodes is None else [Node.read(item) for item in nodes],
            etcd_members=None if etcd is None else len(etcd),
            metrics=self._metrics(),
        )

    def deployment(self, name: str) -> Deployment:
        """Look at one deployment."""
        return Deployment.read(json.loads(self.run("get", f"deployments.v1.apps/{name}", "--output=json").stdout))

    def built(self) -> list[Json]:
        """Build the rendered manifests as `kubectl apply --kustomize` does."""
        env = self.tutor.root / "env"
        result = self.run("kustomize", str(env), check=False)
        if result.rc != 0:
            reason = " ".join(line for line in result.stderr.splitlines() if not line.startswith("# Warning"))
            raise TutorError(
                self.tutor.mask(
                    f"The manifests in {env} cannot be built, so `tutor k8s start` would fail too: {reason.strip()}; "
                    "run `tutor config save`, and look for a plugin whose patch has no target."
                )
            )
        return parse_documents(result.stdout)

    def forget_replicas(self, name: str) -> None:
        """Take the number of replicas out of what Tutor applied last.

        Else its next apply, whose manifest names no number any more, would take the deployment back to one pod.
        """
        manifest = json.loads(self.deployment(name).last_applied)
        del manifest["spec"]["replicas"]
        self.run("apply", "set-last-applied", "--filename=-", stdin=json.dumps(manifest))

    def _metrics(self) -> str:
        result = self.run("get", "--raw=/apis/metrics.k8s.io/v1beta1", check=False)
        if result.rc == 0:
            return ""
        return "it is not installed" if "NotFound" in result.stderr else result.stderr.strip().rstrip(".")
