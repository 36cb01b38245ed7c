# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why pods of a deployment do not come up, in words, from their conditions and events."""

from __future__ import annotations

from .tutor_k8s import Deployment, Json, Kubectl


def reason(kubectl: Kubectl, deployment: Deployment) -> str:
    """Ask the API for the pods of a deployment and for what happened to them."""
    selector = ",".join(f"{key}={value}" for key, value in sorted(deployment.selector.items()))
    owned = kubectl.objects("pods,replicasets.apps", f"--selector={selector}")
    events = kubectl.objects("events", "--field-selector=type=Warning")
    return kubectl.tutor.mask(explained(deployment.conditions, owned, events))


def explained(conditions: list[Json], owned: list[Json], events: list[Json]) -> str:
    """Tell each cause once, with the pods that it holds back."""
    causes: dict[str, list[str]] = {}
    for pod in owned:
        if pod["kind"] == "Pod" and not _ready(pod):
            causes.setdefault(_of_pod(pod, events), []).append(pod["metadata"]["name"])
    told = [f"{_named(names)}: {cause.rstrip('.')}." for cause, names in causes.items()]
    told += [
        f"{condition.get('reason', condition['type'])}: {condition.get('message', '').rstrip('.')}."
        for condition in conditions
        if _is_bad(condition)
    ]
    if told:
        return " ".join(told)
    names = {one["metadata"]["name"] for one in owned}
    last = [event for event in events if event["involvedObject"]["name"] in names][-1:]
    return f"{_of_event(last[0])}." if last else "the controller has not acted yet; see `kubectl describe deployment`."


def _ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _of_pod(pod: Json, events: list[Json]) -> str:
    status = pod.get("status", {})
    parts = []
    if pod["metadata"].get("deletionTimestamp"):
        parts.append("it is being ended and has not stopped yet")
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            parts.append(f"{condition.get('reason', 'Unscheduled')}, {condition.get('message', 'no node takes it')}")
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting")
        if waiting:
            why = f"{waiting.get('reason', '')} {waiting.get('message', '')}".rstrip()
            parts.append(f"container {container['name']} waits, {why}")
    if not parts:
        own = [event for event in events if event["involvedObject"]["name"] == pod["metadata"]["name"]]
        parts += [_of_event(event) for event in own[-1:]]
    if not parts:
        parts += [
            f"{condition['reason']}, {condition.get('message', '')}"
            for condition in status.get("conditions", [])
            if condition["type"] == "Ready" and condition.get("reason")
        ]
    return "; ".join(parts) or f"it is {status.get('phase', 'not there yet')} and tells no reason"


def _of_event(event: Json) -> str:
    return f"{event.get('reason', 'Warning')}, {event.get('message', '').rstrip('.')}"


def _is_bad(condition: Json) -> bool:
    failing = condition["type"] == "ReplicaFailure" and condition["status"] == "True"
    return bool(failing or (condition["type"] == "Progressing" and condition["status"] == "False"))


def _named(names: list[str]) -> str:
    return f"pod {names[0]}" if len(names) == 1 else f"{len(names)} pods ({names[0]} and more)"
