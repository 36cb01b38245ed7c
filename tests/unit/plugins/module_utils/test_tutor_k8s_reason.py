# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why pods do not come up, in words; objects were captured from a real API where the API could show it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.tutorops.scale.plugins.module_utils.tutor_k8s_reason import explained

CAPTURED = Path(__file__).parents[2] / "fixtures" / "k8s"


def captured(name: str) -> tuple[list[Any], list[Any], list[Any]]:
    found = json.loads((CAPTURED / f"{name}.json").read_text(encoding="utf-8"))
    return found["conditions"], found["owned"], found["events"]


def pod(name: str, **status: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": name}, "status": status}


def test_a_pod_that_fits_nowhere() -> None:
    told = explained(*captured("unschedulable"))
    assert "Unschedulable, 0/2 nodes are available: 2 Insufficient memory" in told
    assert told.startswith(("pod lms-", "2 pods (lms-"))


def test_a_quota_that_lets_no_pod_be_made() -> None:
    told = explained(*captured("quota"))
    assert told.startswith("FailedCreate: ") and "exceeded quota" in told


def test_an_image_that_cannot_be_pulled_is_told_once_for_all_pods() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "openedx:nope".'}
    statuses = [{"name": "lms", "state": {"waiting": waiting}}]
    pods = [pod(f"lms-{number}", phase="Pending", containerStatuses=statuses) for number in "abc"]
    assert explained([], pods, []) == (
        '3 pods (lms-a and more): container lms waits, ImagePullBackOff Back-off pulling image "openedx:nope".'
    )


def test_an_event_tells_what_no_condition_does() -> None:
    event = {"involvedObject": {"name": "lms-a"}, "reason": "Unhealthy", "message": "Readiness probe failed: 503."}
    other = {**event, "involvedObject": {"name": "cms-a"}, "reason": "Other"}
    told = explained([], [pod("lms-a", phase="Running")], [event, other])
    assert told == "pod lms-a: Unhealthy, Readiness probe failed: 503."


def test_a_rollout_that_gave_up_is_told() -> None:
    condition = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "lms-1" has timed out progressing.',
    }
    assert explained([condition], [], []) == 'ProgressDeadlineExceeded: ReplicaSet "lms-1" has timed out progressing.'


def test_without_any_sign_it_says_so() -> None:
    assert "has not acted yet" in explained([], [], [])
    assert explained([], [pod("lms-a", phase="Pending")], []) == "pod lms-a: it is Pending and tells no reason."
