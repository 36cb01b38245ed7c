# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator wants of a deployment, and the manifests that say so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .tutor_errors import TutorError
from .tutor_k8s import COMPONENT, COMPONENT_LABEL, NAME_LABEL, Json

_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?\Z")


@dataclass(frozen=True)
class Autoscaling:
    """Bounds of a HorizontalPodAutoscaler and its targets, in percent of what the containers request."""

    min: int
    max: int
    cpu: int | None = None
    memory: int | None = None

    def targets(self) -> dict[str, int]:
        """Give the targets that are set."""
        return {name: value for name, value in (("cpu", self.cpu), ("memory", self.memory)) if value is not None}


@dataclass(frozen=True)
class Wanted:
    """One deployment as it should be: a fixed number of replicas, or bounds for an autoscaler."""

    name: str
    replicas: int | None = None
    autoscaling: Autoscaling | None = None
    disruption_budget: bool = False
    requests: dict[str, str] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)
    container: str = ""
    """The container that requests and limits are for."""

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Wanted:
        """Read an item of the option `deployments`, or of a record."""
        scaling = given.get("autoscaling")
        wanted = cls(
            name=given["name"],
            replicas=given.get("replicas"),
            autoscaling=Autoscaling(**scaling) if scaling else None,
            disruption_budget=bool(given.get("disruption_budget")),
            requests={key: str(value) for key, value in (given.get("requests") or {}).items()},
            limits={key: str(value) for key, value in (given.get("limits") or {}).items()},
            container=given.get("container") or "",
        )
        wanted.check()
        return wanted

    def check(self) -> None:
        """Refuse numbers that make no sense; Kubernetes would take some of them."""
        if self.replicas is not None and self.replicas < 1:
            raise TutorError(
                f"{self.name} cannot have {self.replicas} replicas here; give 1 or more, "
                "or stop it with `tutor k8s stop`."
            )
        for kind, values in self.resources().items():
            for name, value in values.items():
                if name not in ("cpu", "memory") or not _QUANTITY.match(value):
                    raise TutorError(
                        f"{value!r} of {name} cannot be among the {kind} of {self.name}; "
                        "give cpu and memory as quantities of Kubernetes, such as 500m and 2Gi."
                    )
        if self.autoscaling is None:
            return
        if not 1 <= self.autoscaling.min <= self.autoscaling.max:
            raise TutorError(
                f"The autoscaler of {self.name} cannot go from {self.autoscaling.min} to {self.autoscaling.max}; "
                "give a min of 1 or more and a max that is not below it."
            )
        targets = self.autoscaling.targets()
        if not targets or min(targets.values()) < 1:
            raise TutorError(
                f"The autoscaler of {self.name} needs a target; "
                "give cpu, memory or both, in percent of what is requested."
            )

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data, without what is not set."""
        return _without_unset(asdict(self))

    @property
    def most(self) -> int:
        """How many replicas there may be at once."""
        return self.autoscaling.max if self.autoscaling else self.replicas or 1

    @property
    def least(self) -> int:
        """How many replicas there are at least."""
        return self.autoscaling.min if self.autoscaling else self.replicas or 1

    def resources(self) -> Json:
        """Give requests and limits as a container holds them."""
        found = {"requests": self.requests, "limits": self.limits}
        return {kind: values for kind, values in found.items() if values}

    def pod_patch(self) -> Json:
        """Give what of the pods differs from Tutor's manifest; empty when nothing does."""
        if not self.resources():
            return {}
        return {"template": {"spec": {"containers": [{"name": self.container, "resources": self.resources()}]}}}

    def patch(self) -> Json:
        """Give the patch of Tutor's deployment; one that an autoscaler drives must not name a number of replicas."""
        spec: Json = {"replicas": self.replicas} if self.replicas is not None and not self.autoscaling else {}
        spec.update(self.pod_patch())
        if not spec:
            return {}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": self.name}, "spec": spec}

    def autoscaler(self) -> Json | None:
        """Give the manifest of the autoscaler."""
        if self.autoscaling is None:
            return None
        metrics = [
            {
                "type": "Resource",
                "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": value}},
            }
            for name, value in self.autoscaling.targets().items()
        ]
        spec = {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name},
            "minReplicas": self.autoscaling.min,
            "maxReplicas": self.autoscaling.max,
            "metrics": metrics,
        }
        return self._manifest("autoscaling/v2", "HorizontalPodAutoscaler", spec)

    def budget(self) -> Json | None:
        """Give the manifest of the disruption budget; it lets nodes be drained, one pod at a time."""
        if not self.disruption_budget:
            return None
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": {NAME_LABEL: self.name}}}
        return self._manifest("policy/v1", "PodDisruptionBudget", spec)

    def _manifest(self, version: str, kind: str, spec: Json) -> Json:
        labels = {NAME_LABEL: self.name, COMPONENT_LABEL: COMPONENT}
        metadata = {"name": self.name, "labels": labels}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _without_unset(found: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_unset(value) if isinstance(value, dict) else value
        for key, value in found.items()
        if value not in (None, {}, "", False)
    }


_UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def _number(quantity: str) -> float:
    unit = quantity.lstrip("0123456789.")
    return float(quantity.removesuffix(unit)) * _UNITS.get(unit, 1)


def covers(live: Any, wanted: Any) -> bool:
    """Say whether what the API holds is what was asked for; it adds defaults and spells quantities its own way."""
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(covers(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live, list) and len(live) == len(wanted) and all(map(covers, live, wanted))
    if isinstance(wanted, str) and isinstance(live, str) and _QUANTITY.match(wanted) and _QUANTITY.match(live):
        return _number(live) == _number(wanted)
    return bool(live == wanted)


def read_wanted(given: Iterable[Mapping[str, Any]]) -> list[Wanted]:
    """Read the option `deployments`."""
    wanted = [Wanted.read(item) for item in given]
    names = [one.name for one in wanted]
    for name in names:
        if names.count(name) > 1:
            raise TutorError(f"{name} is named twice in `deployments`; keep one of the two.")
    return sorted(wanted, key=lambda one: one.name)
