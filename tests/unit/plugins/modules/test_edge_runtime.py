# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package that an app server gets."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.tutorops.scale.plugins.action.edge_runtime import pack

RunModule = Callable[..., dict[str, Any]]


def package(folder: Path, text: str) -> dict[str, str]:
    """A package of one module, as the action makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cli.py").write_text(text)
    archive, digest = pack(folder)
    return {"archive": archive, "digest": digest}


def test_the_digest_tells_content_and_nothing_else(tmp_path: Path) -> None:
    first = package(tmp_path / "one", "a")
    os.utime(tmp_path / "one" / "cli.py", (1, 1))
    assert pack(tmp_path / "one") == (first["archive"], first["digest"])
    assert package(tmp_path / "two", "a") == first
    assert package(tmp_path / "two", "b")["digest"] != first["digest"]
    (tmp_path / "one" / "cli.py").rename(tmp_path / "one" / "other.py")
    assert pack(tmp_path / "one")[1] != first["digest"]


def test_the_collection_s_own_package_runs_without_ansible(tmp_path: Path) -> None:
    archive, _ = pack()
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archive))) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        tar.extractall(tmp_path)
    program = (
        "import sys; sys.modules['ansible'] = sys.modules['ansible_collections'] = None; "
        f"sys.path.insert(0, {str(tmp_path)!r}); from tutorops_scale.cli import main; main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert "where every store stands" in done.stdout, done.stderr


def test_it_is_installed_once(run_module: RunModule, tmp_path: Path) -> None:
    given = package(tmp_path / "source", "a")
    target = tmp_path / "lib"
    first = run_module("edge_runtime", directory=str(target), **given)
    assert first["changed"]
    assert (target / "tutorops_scale" / "cli.py").read_text() == "a"
    assert not run_module("edge_runtime", directory=str(target), **given)["changed"]


def test_check_mode_installs_nothing(run_module: RunModule, tmp_path: Path) -> None:
    given = package(tmp_path / "source", "a")
    answer = run_module("edge_runtime", check=True, directory=str(tmp_path / "lib"), **given)
    assert answer["changed"] and answer["diff"]["after"].strip() == given["digest"]
    assert not (tmp_path / "lib").exists()


def test_an_upgrade_leaves_the_release_that_a_process_began_with(run_module: RunModule, tmp_path: Path) -> None:
    target = tmp_path / "lib"
    run_module("edge_runtime", directory=str(target), **package(tmp_path / "source", "a"))
    running = (target / "tutorops_scale").resolve()
    run_module("edge_runtime", directory=str(target), **package(tmp_path / "source", "b"))
    assert (running / "cli.py").read_text() == "a"
    assert (target / "tutorops_scale" / "cli.py").read_text() == "b"


def test_three_releases_are_kept_and_going_back_is_an_upgrade(run_module: RunModule, tmp_path: Path) -> None:
    target = tmp_path / "lib"
    for number, text in enumerate("abcda"):
        run_module("edge_runtime", directory=str(target), **package(tmp_path / "source", text))
        assert (target / "tutorops_scale" / "cli.py").read_text() == text
        for release in (target / "releases").iterdir():
            os.utime(release, (os.stat(release).st_atime, os.stat(release).st_mtime - 10))
        assert len(list((target / "releases").iterdir())) == min(number + 1, 3)


def test_a_broken_archive_leaves_what_was_there(run_module: RunModule, tmp_path: Path) -> None:
    target = tmp_path / "lib"
    run_module("edge_runtime", directory=str(target), **package(tmp_path / "source", "a"))
    answer = run_module("edge_runtime", directory=str(target), archive=base64.b64encode(b"no").decode(), digest="0")
    assert answer["failed"] and "cannot be installed below" in answer["msg"]
    assert (target / "tutorops_scale" / "cli.py").read_text() == "a"
    assert len(list((target / "releases").iterdir())) == 1
