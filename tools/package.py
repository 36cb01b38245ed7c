#!/usr/bin/env python3
"""Build the artefact, look into it, install it without network, and find every playbook in the installed copy.

The dependencies are found in the package `ansible`, so this also proves the lower bounds in galaxy.yml against it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
BUILD = CHECKOUT / "build" / "package"
INSTALLED = BUILD / "installed"
INVENTORY = CHECKOUT / "inventories" / "three_hosts"
EXPECTED = {
    *("CHANGELOG.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md"),
    *("changelogs", "docs", "inventories", "meta", "playbooks", "plugins", "roles"),
}
"""What may stand at the top of the artefact. The changelog is there from the first release on."""


def run(*command: str | Path, **more: str) -> None:
    """Run a command away from the checkout, whose configuration must not help; show its output when it fails."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(INSTALLED), **more}
    done = subprocess.run(
        command, cwd=BUILD, env=environment, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\npackage: {' '.join(map(str, command))} ended with {done.returncode}.")


def build() -> Path:
    """Build the artefact and give its path."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    run("ansible-galaxy", "collection", "build", "--output-path", BUILD, CHECKOUT)
    (artefact,) = BUILD.glob("*.tar.gz")
    return artefact


def unexpected(artefact: Path) -> list[str]:
    """What got into the artefact and should not have."""
    with tarfile.open(artefact) as archive:
        names = archive.getnames()
    return sorted(
        name
        for name in names
        if name.split("/")[0] not in EXPECTED
        or {"__pycache__", "reports"} & set(name.split("/"))
        or name.endswith((".pyc", "ansible.cfg"))
    )


def playbooks() -> list[str]:
    """The names of the playbooks that operators call; a dash cannot stand in such a name, only in a file's."""
    files = [path for path in (CHECKOUT / "playbooks").glob("*.yml") if path.stem.isidentifier()]
    files = [path for path in files if not path.name.startswith("_")]
    named = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))
    return sorted(f"{named['namespace']}.{named['name']}.{path.stem}" for path in files)


def main() -> int:
    """Build, look, install, use."""
    artefact = build()
    strangers = unexpected(artefact)
    if strangers:
        sys.exit(f"package: {', '.join(strangers)} got into the artefact; add to build_ignore in galaxy.yml.")
    run("ansible-galaxy", "collection", "install", "--offline", "--force", "-p", INSTALLED, artefact)
    names = playbooks()
    for name in names:
        for action in ("--syntax-check", "--list-tasks"):
            run("ansible-playbook", "--inventory", INVENTORY, action, name)
    print(f"{artefact.name}: installed; {', '.join(names)} are found there.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
