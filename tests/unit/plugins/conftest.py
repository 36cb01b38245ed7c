# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures over the real tutor command line, and a docker that only writes down what it is asked for.

Tutor 18, 20 and 22 come from PyPI into one venv each, kept below TUTOROPS_TEST_CACHE (by default
~/.cache/tutorops) by the hash of what was asked for. Every test gets a copy of a root that was rendered once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

MAJORS = (18, 20, 22)
FIXTURES = Path(__file__).parents[1] / "fixtures"


def _find_collection() -> None:
    """Make `ansible_collections.tutorops.scale` mean this checkout, also beside an installed `ansible` package."""
    import ansible_collections  # type: ignore[import-untyped]

    checkout = Path(__file__).resolve().parents[3]
    folder = checkout / ".ansible" / "collections" / "ansible_collections"
    (folder / "tutorops").mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (folder / "tutorops" / "scale").symlink_to(checkout)
    if str(folder) not in ansible_collections.__path__:
        ansible_collections.__path__ = [str(folder), *ansible_collections.__path__]


def pytest_configure(config: pytest.Config) -> None:
    """Make the collection and the marker known wherever the tests are started."""
    _find_collection()
    config.addinivalue_line("markers", "tutor_cli: runs the real tutor command line (venvs from PyPI, cached)")


def _cache() -> Path:
    folder = Path(os.environ.get("TUTOROPS_TEST_CACHE") or Path.home() / ".cache" / "tutorops")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _once(lock: Path) -> Iterator[None]:
    """Let one of several pytest-xdist workers build, and the others wait for it."""
    with open(lock, "w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _python() -> str:
    """Name a Python that Tutor 18 to 22 all run on."""
    if sys.version_info[:2] <= (3, 12):
        return sys.executable
    found = shutil.which("python3.12")
    return found or sys.executable


def _venv(major: int) -> Path:
    span = f">={major},<{major + 1}"
    wanted = [f"tutor{span}", f"tutor-notes{span}", f"tutor-minio{span}", "setuptools"]
    name = hashlib.sha256("\n".join([_python(), *wanted]).encode()).hexdigest()[:12]
    folder = _cache() / f"tutor-{major}-{name}"
    with _once(folder.with_suffix(".lock")):
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([_python(), "-m", "venv", folder], check=True)
            subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *wanted], check=True)
            (folder / "ready").touch()
    return folder


def _rendered(major: int, binary: Path, minio: bool) -> Path:
    """Render a root once for each version, with the plugin minio if wanted; tests get copies of it."""
    folder = binary.parents[1] / f"root-{'minio' if minio else 'plain'}"
    with _once(folder.with_suffix(".lock")):
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            environment = clean_environment(folder / "root", folder / "plugins")
            (folder / "plugins").mkdir(parents=True)
            (folder / "root").mkdir()
            (folder / "root" / "config.yml").write_text("PLUGINS: []\n", encoding="utf-8")
            commands = [["plugins", "enable", "minio"]] if minio else []
            for command in [*commands, ["config", "save"]]:
                subprocess.run([binary, *command], env=environment, check=True, capture_output=True)
            (folder / "ready").touch()
    return folder


def clean_environment(root: Path, plugins: Path) -> dict[str, str]:
    """Give an environment for calls of tutor without the collection."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TUTOR_")}
    return {**kept, "TUTOR_ROOT": str(root), "TUTOR_PLUGINS_ROOT": str(plugins)}


class FakeDocker:
    """The docker of a test: its calls and its containers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write({"services": {}, "containers": {}, "clock": 0, "calls": [], "fail": None})

    def read(self) -> dict[str, Any]:
        """Give everything that it knows."""
        loaded: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return loaded

    def write(self, state: dict[str, Any]) -> None:
        """Replace everything that it knows."""
        self.path.write_text(json.dumps(state), encoding="utf-8")

    def change(self, **values: Any) -> None:
        """Replace some of what it knows."""
        self.write({**self.read(), **values})

    def define(self, **services: str) -> None:
        """Define services with the hashes of their definitions; underscores stand for dashes."""
        self.change(services={name.replace("_", "-"): definition for name, definition in services.items()})

    def calls(self) -> list[str]:
        """Give its calls since the last time, without what precedes the verb of compose."""
        state = self.read()
        self.write({**state, "calls": []})
        return [" ".join(_short(call)) for call in state["calls"]]


def _short(call: list[str]) -> list[str]:
    words = call[1:]
    while words and words[0] in ("-f", "--project-name"):
        words = words[2:]
    return words if call[0] == "compose" else call


@dataclass
class Lab:
    """One version of Tutor with a root of its own."""

    major: int
    binary: str
    root: Path
    plugins: Path
    docker: FakeDocker

    def tutor(self, **options: Any) -> Any:
        """Open the root through the collection's wrapper."""
        from ansible_collections.tutorops.scale.plugins.module_utils.tutor import Tutor

        return Tutor(**{"root": str(self.root), "binary": self.binary, "plugins_root": str(self.plugins), **options})

    def cli(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Call tutor as an operator would."""
        return subprocess.run(
            [self.binary, *args],
            env=clean_environment(self.root, self.plugins),
            capture_output=True,
            text=True,
            check=False,
        )

    def config(self) -> dict[str, Any]:
        """Read config.yml."""
        import yaml

        loaded: dict[str, Any] = yaml.safe_load((self.root / "config.yml").read_text(encoding="utf-8"))
        return loaded

    def options(self, **more: Any) -> dict[str, Any]:
        """Give the options of a module that lead to this root."""
        return {"root": str(self.root), "binary": self.binary, "plugins_root": str(self.plugins), **more}

    def snapshot(self) -> dict[str, tuple[int, bytes]]:
        """Give time and content of every file, to prove that nothing was written."""
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes())
            for folder in (self.root, self.plugins)
            for path in folder.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }


def _lab(major: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minio: bool) -> Lab:
    binary = _venv(major) / "bin" / "tutor"
    rendered = _rendered(major, binary, minio)
    shutil.copytree(rendered, tmp_path / "lab")
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(FIXTURES / "docker", programs / "docker")
    docker = FakeDocker(tmp_path / "docker.json")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_DOCKER", str(docker.path))
    for name in [name for name in os.environ if name.startswith("TUTOR_")]:
        monkeypatch.delenv(name)
    return Lab(major, str(binary), tmp_path / "lab" / "root", tmp_path / "lab" / "plugins", docker)


@pytest.fixture(params=MAJORS, ids=lambda major: f"tutor{major}")
def lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Each supported version in turn, without plugins."""
    return _lab(request.param, tmp_path, monkeypatch, minio=False)


@pytest.fixture(params=MAJORS, ids=lambda major: f"tutor{major}")
def minio_lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Each supported version in turn, with the plugin minio enabled."""
    return _lab(request.param, tmp_path, monkeypatch, minio=True)


@pytest.fixture
def lab22(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The newest version only, for what does not depend on the version."""
    return _lab(22, tmp_path, monkeypatch, minio=False)


@pytest.fixture
def run_module(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Run a module of the collection in this process; gives its answer, which holds `failed` when it failed."""
    import importlib

    from ansible.module_utils import _internal
    from ansible.module_utils.testing import patch_module_args

    # Tests of action plugins make this process a controller, and that prints warnings instead of returning them.
    monkeypatch.setattr(_internal, "is_controller", False)

    def run(name: str, /, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        module = importlib.import_module(f"ansible_collections.tutorops.scale.plugins.modules.{name}")
        capfd.readouterr()
        arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": diff}
        with patch_module_args(arguments), contextlib.suppress(SystemExit):
            module.main()
        answer: dict[str, Any] = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
        return answer

    return run
