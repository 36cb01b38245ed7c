#!/usr/bin/python
# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: edge_runtime
short_description: Install the runtime package of this collection on an app server
version_added: 0.1.0
description:
  - Puts the collection's C(plugins/module_utils) on the host as Python package C(tutorops_scale), in one step and
    without touching the release that running processes have loaded.
  - Each release has a folder of its own below C(releases/), C(tutorops_scale) is a link to the one in use, and the last
    three are kept.
author:
  - Tutor Ops contributors (@tutorops)
options:
  directory:
    description: Where releases are kept.
    type: path
    default: /usr/local/lib/tutorops
  archive:
    description: The package as a base64 coded tar archive. The task puts it in by itself, from this collection.
    type: str
  digest:
    description: What tells one release from another. The task puts it in by itself.
    type: str
extends_documentation_fragment:
  - tutorops.scale.attributes
  - tutorops.scale.attributes.action
attributes:
  diff_mode:
    description: Shows the releases' digests.
"""

EXAMPLES = r"""
- name: Install the runtime package
  tutorops.scale.edge_runtime:
"""

RETURN = r"""
release:
  description: The folder of the release in use.
  type: str
  returned: success
  sample: /usr/local/lib/tutorops/releases/3f2a9c
"""

import base64
import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

PACKAGE = "tutorops_scale"
KEEP = 3


def in_use(directory: Path) -> str:
    """The digest of the release in use, or nothing."""
    link = directory / PACKAGE
    return link.resolve().parent.name if link.is_symlink() and link.exists() else ""


def install(directory: Path, digest: str, archive: str) -> None:
    """Unpack a release beside the others, then have the link name it."""
    releases = directory / "releases"
    releases.mkdir(mode=0o755, parents=True, exist_ok=True)
    target = releases / digest
    if not target.exists():
        unpacked = Path(tempfile.mkdtemp(dir=releases, prefix=".new."))
        try:
            with tarfile.open(fileobj=io.BytesIO(base64.b64decode(archive)), mode="r:gz") as tar:
                # Python 3.10 may not have the filter that later ones ask for.
                tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
                tar.extractall(unpacked)
            unpacked.chmod(0o755)
            unpacked.rename(target)
        except BaseException:
            shutil.rmtree(unpacked, ignore_errors=True)
            raise
    os.utime(target)
    link = directory / f".{PACKAGE}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(target.relative_to(directory) / PACKAGE)
    link.replace(directory / PACKAGE)
    ages = sorted(releases.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    for old in ages[KEEP:]:
        shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": "/usr/local/lib/tutorops"},
            "archive": {"type": "str", "no_log": True},
            "digest": {"type": "str"},
        },
        required_together=[("archive", "digest")],
        supports_check_mode=True,
    )
    directory, digest = Path(module.params["directory"]), module.params["digest"]
    if not digest:
        module.fail_json(
            msg="edge_runtime got no package: call it as tutorops.scale.edge_runtime, whose action brings it along"
        )
    before = in_use(directory)
    changed = before != digest
    try:
        if changed and not module.check_mode:
            install(directory, digest, module.params["archive"])
    except (OSError, tarfile.TarError) as problem:
        module.fail_json(msg=f"the runtime package cannot be installed below {directory}: {problem}")
    diff = {"before": f"{before}\n", "after": f"{digest}\n"}
    module.exit_json(changed=changed, release=str(directory / "releases" / digest), diff=diff if changed else {})


if __name__ == "__main__":
    main()
