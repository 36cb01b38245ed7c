# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a host's certificate on the controller, and has it installed in one round trip."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.tutorops.scale.plugins.plugin_utils.certificate import HAS_CRYPTOGRAPHY, CertificateError
from ansible_collections.tutorops.scale.plugins.plugin_utils.certificates import Provided, Wanted, provide

#: Twin of the DOCUMENTATION in modules/tls_certificate.py.
OPTIONS: dict[str, dict[str, Any]] = {
    "directory": {"type": "path", "required": True},
    "ca_certificate": {"type": "path"},
    "ca_key": {"type": "path", "no_log": False},
    "name": {"type": "str", "required": True},
    "common_name": {"type": "str"},
    "alt_names": {"type": "list", "elements": "str", "default": []},
    "certificate": {"type": "path"},
    "key": {"type": "path", "no_log": False},
    "valid_days": {"type": "int", "default": 825},
    "renew_days": {"type": "int", "default": 30},
    "dest": {"type": "path", "required": True},
    "dest_ca": {"type": "str", "default": "ca.pem"},
    "dest_certificate": {"type": "str"},
    "dest_key": {"type": "str", "no_log": False},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}


class ActionModule(ActionBase):
    """Keeps the folder on the controller, and sends what belongs to the host."""

    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(OPTIONS)
        if not HAS_CRYPTOGRAPHY:
            reason = "Python's library cryptography is missing on the controller: install it where ansible-core is."
            return {"failed": True, "changed": False, "msg": reason}
        try:
            provided = provide(wanted(given), self._task.check_mode)
        except CertificateError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
        except OSError as error:
            reason = f"{error.filename} cannot be read or written on the controller: {error.strerror}."
            return {"failed": True, "changed": False, "msg": reason}
        answer: dict[str, Any] = {"changed": False, "paths": [], "diff": []}
        # In check mode there may be nothing yet that could be compared.
        if provided.key:
            answer = self._execute_module(
                module_name="tutorops.scale.host_files", module_args=files(given, provided), task_vars=task_vars
            )
            answer.pop("invocation", None)
        if answer.get("failed"):
            return answer
        changed = answer["changed"] or bool(provided.reasons)
        return {
            **answer,
            "changed": changed,
            "reasons": provided.reasons,
            "diff": [*shown(given, provided), *answer["diff"]],
        }


def wanted(given: dict[str, Any]) -> Wanted:
    """What the task asks of the controller's folder."""
    directory = Path(given["directory"])
    return Wanted(
        directory=directory,
        ca_certificate=Path(given["ca_certificate"] or directory / "ca.pem"),
        ca_key=Path(given["ca_key"] or directory / "ca.key"),
        name=given["name"],
        common_name=given["common_name"] or given["name"],
        alt_names=tuple(given["alt_names"]),
        certificate=Path(given["certificate"]) if given["certificate"] else None,
        key=Path(given["key"]) if given["key"] else None,
        valid_days=given["valid_days"],
        renew_days=given["renew_days"],
    )


def files(given: dict[str, Any], provided: Provided) -> dict[str, Any]:
    """What the host gets; not even public parts are of use in a diff."""
    owned = {"owner": given["owner"], "group": given["group"]}
    parts = [
        (given["dest_ca"], provided.ca, "0644"),
        (given["dest_certificate"] or f"{given['name']}.crt", provided.certificate, "0644"),
        (given["dest_key"] or f"{given['name']}.key", provided.key, "0600"),
    ]
    listed = [
        {"path": f"{given['dest']}/{name}", "secret_content": base64.b64encode(content).decode(), "mode": mode, **owned}
        for name, content, mode in parts
    ]
    return {"files": [{"path": given["dest"], "state": "directory", "mode": "0750", **owned}, *listed]}


def shown(given: dict[str, Any], provided: Provided) -> list[dict[str, str]]:
    """The part of the diff that is about the controller."""
    if provided.before == provided.after:
        return []
    header = f"{given['directory']}/{given['name']}.crt on the controller"
    return [
        {
            "before_header": header,
            "after_header": header,
            "before": provided.before,
            "after": provided.after,
        }
    ]
