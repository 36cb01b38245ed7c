# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a certificate reaches the host, and what the operator is told."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tutorops.scale.plugins.action import tls_certificate
from ansible_collections.tutorops.scale.plugins.modules import tls_certificate as documented

NOTHING = {"changed": False, "paths": [], "diff": [], "invocation": {"module_args": "x"}}


class Action(tls_certificate.ActionModule):
    """The action without a host."""

    def __init__(self, check: bool = False, answer: dict[str, Any] | None = None, **arguments: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self._answer = answer or NOTHING
        self._task = type("Task", (), {"args": arguments, "async_val": 0, "check_mode": check})()  # type: ignore[assignment]

    def _execute_module(self, module_name: Any = None, module_args: Any = None, **_: Any) -> dict[str, Any]:
        assert module_name == "tutorops.scale.host_files"
        self.sent.append(module_args)
        return dict(self._answer)


@pytest.fixture(autouse=True)
def _without_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ansible's own part of an action does with a connection."""
    monkeypatch.setattr(tls_certificate.ActionBase, "run", lambda *words, **options: {})


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    return {
        "directory": str(tmp_path / "tls"),
        "name": "mysql-db1",
        "alt_names": ["IP:10.0.0.11"],
        "dest": "/etc/mysql/tls",
        "dest_certificate": "member.crt",
        "dest_key": "member.key",
        "owner": "mysql",
        "group": "mysql",
    }


def test_the_host_gets_three_files_and_not_the_authority_s_key(given: dict[str, Any], tmp_path: Path) -> None:
    action = Action(**given)
    answer = action.run()
    assert answer["changed"] and "names: IP:10.0.0.11" in answer["diff"][0]["after"] and "invocation" not in answer
    folder, *files = action.sent[0]["files"]
    assert folder == {
        "path": "/etc/mysql/tls",
        "state": "directory",
        "mode": "0750",
        "owner": "mysql",
        "group": "mysql",
    }
    made = {name: (tmp_path / "tls" / name).read_text() for name in ("ca.pem", "mysql-db1.crt", "mysql-db1.key")}
    assert [(one["path"], one["mode"], base64.b64decode(one["secret_content"]).decode()) for one in files] == [
        ("/etc/mysql/tls/ca.pem", "0644", made["ca.pem"]),
        ("/etc/mysql/tls/member.crt", "0644", made["mysql-db1.crt"]),
        ("/etc/mysql/tls/member.key", "0600", made["mysql-db1.key"]),
    ]
    assert (tmp_path / "tls" / "ca.key").read_text() not in json.dumps(action.sent)
    assert "PRIVATE KEY" not in json.dumps(answer)
    again = Action(**given)
    assert again.run() == {"changed": False, "paths": [], "diff": [], "reasons": []}
    assert again.sent == action.sent


def test_what_the_host_says_counts(given: dict[str, Any]) -> None:
    Action(**given).run()
    answer = {"changed": True, "paths": ["/etc/mysql/tls/ca.pem"], "diff": [{"before": "", "after": "(not shown)\n"}]}
    assert Action(answer=answer, **given).run() == {**answer, "reasons": []}
    failed = {"failed": True, "changed": False, "msg": "no user mysql"}
    assert Action(answer=failed, **given).run() == failed


def test_check_mode_looks_at_the_host_only_where_there_is_something_to_compare(given: dict[str, Any]) -> None:
    bare = Action(check=True, **given)
    assert bare.run()["changed"] and bare.sent == [] and not Path(given["directory"]).exists()
    Action(**given).run()
    ready = Action(check=True, **given)
    assert not ready.run()["changed"] and len(ready.sent) == 1


def test_names_on_the_host_follow_the_name_of_the_certificate(given: dict[str, Any]) -> None:
    action = Action(**{name: value for name, value in given.items() if not name.startswith("dest_")})
    action.run()
    paths = [one["path"] for one in action.sent[0]["files"]]
    assert paths == [f"/etc/mysql/tls{end}" for end in ("", "/ca.pem", "/mysql-db1.crt", "/mysql-db1.key")]


def test_refusals_are_sentences(given: dict[str, Any], tmp_path: Path) -> None:
    answer = Action(**{**given, "alt_names": ["db1"]}).run()
    assert answer["failed"] and "'db1' is no name for the certificate mysql-db1" in answer["msg"]
    (tmp_path / "file").write_text("")
    answer = Action(**{**given, "directory": str(tmp_path / "file" / "tls")}).run()
    assert answer["failed"] and "cannot be read or written on the controller" in answer["msg"]


def test_a_controller_without_the_library(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_certificate, "HAS_CRYPTOGRAPHY", False)
    answer = Action(**given).run()
    assert answer["failed"] and "cryptography is missing on the controller" in answer["msg"]


def test_the_documentation_is_the_twin_of_the_options() -> None:
    options = yaml.safe_load(documented.DOCUMENTATION)["options"]
    kept = ("type", "elements", "required", "default")
    shown = {name: {key: option[key] for key in kept if key in option} for name, option in options.items()}
    known = {
        name: {key: option[key] for key in kept if key in option} for name, option in tls_certificate.OPTIONS.items()
    }
    assert shown == known
