# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in one go: all or none, nothing touched that is right, and no secret shown."""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tutorops.scale.plugins.module_utils import host_files

RunModule = Callable[..., dict[str, Any]]
ME = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}


@pytest.fixture
def write(run_module: RunModule) -> Callable[..., dict[str, Any]]:
    """Call the module for files that belong to whoever runs the tests."""

    def call(*files: dict[str, Any], check: bool = False) -> dict[str, Any]:
        return run_module("host_files", check=check, diff=True, files=[{**ME, **one} for one in files])

    return call


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_directories_and_what_is_in_them_are_made_once(write: RunModule, tmp_path: Path) -> None:
    folder, program = tmp_path / "etc" / "site", tmp_path / "etc" / "site" / "program"
    files = [
        {"path": str(folder), "state": "directory", "mode": "0750"},
        {"path": str(program), "content": "text\n", "mode": "0755"},
    ]
    predicted = write(*files, check=True)
    assert not (tmp_path / "etc").exists(), "check mode makes nothing"
    made = write(*files)
    assert (made["changed"], made["paths"], made["diff"]) == (True, [str(folder), str(program)], predicted["diff"])
    assert (program.read_text(), mode(program), mode(folder)) == ("text\n", 0o755, 0o750)
    before = program.stat()
    again = write(*files)
    assert (again["changed"], again["paths"], again["diff"]) == (False, [], [])
    assert program.stat() == before


def test_only_what_differs_is_written(write: RunModule, tmp_path: Path) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    files = [{"path": str(path), "content": "1"} for path in (same, other)]
    write(*files)
    untouched = same.stat().st_ctime_ns
    answer = write(files[0], {**files[1], "content": "2"})
    assert answer["paths"] == [str(other)]
    assert (answer["diff"][0]["before"], answer["diff"][0]["after"]) == ("1", "2")
    assert same.stat().st_ctime_ns == untouched


def test_a_wrong_mode_is_mended_without_new_content(write: RunModule, tmp_path: Path) -> None:
    path = tmp_path / "key"
    write({"path": str(path), "content": "k", "mode": "0600"})
    path.chmod(0o644)
    inode = path.stat().st_ino
    assert write({"path": str(path), "content": "k", "mode": "0600"}, check=True)["changed"]
    assert mode(path) == 0o644
    answer = write({"path": str(path), "content": "k", "mode": "0600"})
    assert (answer["diff"][0]["before"], answer["diff"][0]["after"]) == ("mode: 0644\n", "mode: 0600\n")
    assert (mode(path), path.stat().st_ino) == (0o600, inode)


def test_a_file_that_is_not_valid_leaves_all_as_they_were(write: RunModule, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("old")
    answer = write(
        {"path": str(good), "content": "new"},
        {"path": str(bad), "content": "words", "validate": "sh -c 'echo line 1 of $0 is wrong >&2; exit 3' %s"},
    )
    assert answer["failed"] and f"line 1 of {bad} is wrong" in answer["msg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good"] and good.read_text() == "old"


def test_it_is_validated_when_it_changes_and_beside_its_place(write: RunModule, tmp_path: Path) -> None:
    path, log = tmp_path / "file", tmp_path / "log"
    file = {"path": str(path), "content": "text", "validate": f"sh -c 'dirname %s >> {log}; grep -q text %s'"}
    assert write(file)["changed"] and not write(file)["changed"]
    assert log.read_text() == f"{tmp_path}\n"


def test_a_missing_validator_is_named(write: RunModule, tmp_path: Path) -> None:
    answer = write({"path": str(tmp_path / "file"), "content": "x", "validate": "/no/such/program %s"})
    assert answer["failed"] and "/no/such/program" in answer["msg"] and not list(tmp_path.iterdir())


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_secrets_are_not_shown(run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    logged: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda self, msg, **_: logged.append(str(msg)))
    # With all that a log quotes in other characters.
    for content in ('{"a": "hunter2-first"}\n', 'it\'s\n"hunter2-second" \\ \u00e4\n'):
        file = {**ME, "path": str(path), "secret_content": coded(content), "mode": "0600", "validate": ""}
        answer = run_module("host_files", diff=True, files=[file])
        assert answer["changed"] and "hunter2" not in json.dumps(answer)
        assert (path.read_text(), mode(path)) == (content, 0o600)
        assert logged and not [line for line in logged if "hunter2" in line or coded(content) in line]
    refused = {**ME, "path": str(path), "secret_content": coded("hunter2-third"), "validate": "sh -c 'cat %s; exit 1'"}
    answer = run_module("host_files", diff=True, files=[refused])
    assert answer["failed"] and "hunter2" not in json.dumps(answer)


def test_a_file_that_is_only_begun_stays(write: RunModule, tmp_path: Path) -> None:
    path = tmp_path / "pointer"
    file = {"path": str(path), "content": "mysql local\n", "replace": False}
    assert write(file)["changed"]
    path.write_text("mysql cluster\n")
    assert not write(file)["changed"]
    assert path.read_text() == "mysql cluster\n"


def test_a_file_that_somebody_made_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "pointer"
    found = host_files.differences([host_files.Wanted(path, content=b"mysql local\n", replace=False, **ME)])
    path.write_text("mysql cluster\n")
    host_files.apply(found)
    assert [one.read_text() for one in tmp_path.iterdir()] == ["mysql cluster\n"]


def test_absence(write: RunModule, tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_text("x")
    file = {"path": str(path), "state": "absent"}
    assert write(file, check=True)["changed"] and path.exists()
    assert write(file)["changed"] and not path.exists()
    assert not write(file)["changed"]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ({"path": "relative", "content": ""}, "no absolute path"),
        ({"path": "/x", "secret_content": "no base64!"}, "not coded in base64"),
        ({"path": "/x"}, "either content or secret_content"),
        ({"path": "/x", "content": "a", "secret_content": "b"}, "either content or secret_content"),
        ({"path": "/x", "state": "directory", "content": "a"}, "either content or secret_content"),
        ({"path": "/x", "content": "a", "mode": "rw"}, "no octal number"),
        ({"path": "/x", "content": "a", "mode": 420}, "no octal number"),
        ({"path": "/no/such/folder/x", "content": "a"}, "its directory is not there"),
        ({"path": "/usr", "content": "a"}, "is to be a file and is a directory"),
        ({"path": "/usr", "state": "absent"}, "is a directory, which is not removed"),
        ({"path": "/etc/passwd", "state": "directory"}, "is to be a directory and is a file"),
        ({"path": "/dev/null", "content": "a"}, "is a special file"),
    ],
)
def test_refusals(write: RunModule, file: dict[str, Any], reason: str) -> None:
    answer = write(file)
    assert answer["failed"] and reason in answer["msg"]


def test_an_unknown_owner_is_named_and_nothing_written(write: RunModule, tmp_path: Path) -> None:
    answer = write({"path": str(tmp_path / "file"), "content": "x", "owner": "nobody-like-this"})
    assert answer["failed"] and "nobody-like-this" in answer["msg"] and not list(tmp_path.iterdir())
    assert write({"path": str(tmp_path / "file"), "content": "x", "owner": "nobody-like-this"}, check=True)["changed"]


def test_nobody_in_particular_may_own_it(run_module: RunModule, tmp_path: Path) -> None:
    files = [
        {"path": str(tmp_path / "new"), "state": "directory", "owner": "", "group": ""},
        {"path": str(tmp_path / "new" / "file"), "content": "x", "owner": "", "group": ""},
    ]
    assert run_module("host_files", files=files)["changed"]
    assert (tmp_path / "new" / "file").stat().st_uid == os.geteuid()
    assert not run_module("host_files", files=files)["changed"]


def test_a_link_is_not_followed_to_a_file_but_to_a_directory(write: RunModule, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir(0o755)
    (tmp_path / "link").symlink_to(real)
    assert not write({"path": str(tmp_path / "link"), "state": "directory"})["changed"]
    (real / "target").write_text("x")
    (tmp_path / "file").symlink_to(real / "target")
    assert "is a link" in write({"path": str(tmp_path / "file"), "content": "y"})["msg"]
    assert (real / "target").read_text() == "x"
