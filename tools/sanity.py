#!/usr/bin/env python3
"""Run ansible-test's sanity tests on a copy of the checkout.

    sanity.py                                                           all tests but those in SKIPPED
    sanity.py --test validate-modules plugins/modules/tutor_config.py   as ansible-test takes it

ansible-test wants to live at .../ansible_collections/tutorops/scale and follows no link there, so the copy is made
below build/; it holds what git knows and would know.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
COPY = CHECKOUT / "build" / "sanity" / "ansible_collections" / "tutorops" / "scale"
CACHE = Path.home() / ".ansible" / "test" / "cache"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

PARTS = (
    "changelogs",
    "docs",
    "galaxy.yml",
    "meta",
    "playbooks",
    "plugins",
    "roles",
    "tests/config.yml",
    "tests/sanity",
)
"""What the tests look at: what ships, and their settings. Our tools and the lab answer to ruff and mypy alone."""

SKIPPED = ("pylint", "pslint", "shellcheck")
"""pylint's rules for modules (no print, no subprocess) do not fit module_utils, which also run as services; ruff and
mypy do its part. The other two need programs that a machine may lack, for files that we do not have."""

OLDEST = "3.10"
"""The oldest Python of a supported host; what runs there has to compile and import with it."""

GET_PIP = '''"""Stands for the get-pip script that ansible-test would download: the same from Python's own ensurepip."""
import subprocess, sys
arguments = [a for a in sys.argv[1:] if a not in ("--no-setuptools", "--no-wheel")]
# In a child, because ensurepip switches pip's configuration off for the process that it runs in.
subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", *arguments])
'''


def copy_checkout() -> None:
    """Make the copy from the files that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    )
    shutil.rmtree(COPY, ignore_errors=True)
    for name in filter(None, listed.stdout.split("\0")):
        source, target = CHECKOUT / name, COPY / name
        # A file that git tracks may have been removed since.
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    # Or ansible-test would ask the checkout's git, which ignores build/, and find nothing.
    subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True)


def provide_pip() -> None:
    """Put our get-pip where ansible-test caches its own, under the name that this version of it asks for."""
    spec = find_spec("ansible_test")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("sanity: ansible-test is missing; run `make setup`.")
    source = Path(spec.submodule_search_locations[0]) / "_internal" / "python_requirements.py"
    versions = set(re.findall(r"\bpip='([0-9.]+)'", source.read_text(encoding="utf-8")))
    CACHE.mkdir(parents=True, exist_ok=True)
    for version in versions:
        script = CACHE / f"get_pip_{version.replace('.', '_')}.py"
        if not script.exists():
            script.write_text(GET_PIP, encoding="utf-8")


def oldest_python() -> str | None:
    """The folder of the oldest supported Python, where there is one on this machine."""
    folders = [*os.environ["PATH"].split(os.pathsep), *map(str, Path.home().glob(f".pyenv/versions/{OLDEST}.*/bin"))]
    for folder in folders:
        program = Path(folder) / f"python{OLDEST}"
        # A shim of pyenv exists, and fails, when that version is not chosen.
        if (
            program.exists()
            and subprocess.run([program, "--version"], check=False, capture_output=True).returncode == 0
        ):
            return folder
    return None


def ansible_test(python: str, *arguments: str, path: str | None = None) -> int:
    """Run sanity tests with one Python; `path` is a folder to find it in."""
    environment = {**os.environ, "PATH": os.pathsep.join(filter(None, (path, os.environ["PATH"])))}
    command = ["ansible-test", "sanity", "--local", "--python", python, "--color", "no", *arguments]
    return subprocess.run(command, cwd=COPY, env=environment, check=False).returncode


def main(arguments: Sequence[str]) -> int:
    """Run the tests; the exit code is that of ansible-test."""
    copy_checkout()
    provide_pip()
    if arguments:
        return ansible_test(PYTHON, *arguments)
    codes = [ansible_test(PYTHON, *(word for test in SKIPPED for word in ("--skip-test", test)))]
    folder = oldest_python()
    if folder:
        codes.append(ansible_test(OLDEST, "--test", "compile", "--test", "import", path=folder))
    else:
        print(f"sanity: there is no Python {OLDEST} here, so nothing was compiled and imported with it.")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
