# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the collection's module_utils along to the module that installs them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

PACKAGE = "tutorops_scale"
SOURCE = Path(__file__).resolve().parents[1] / "module_utils"


def pack(source: Path = SOURCE) -> tuple[str, str]:
    """The package as base64 coded archive, and the digest of its files; the same for the same files wherever it is."""
    plain, digest = io.BytesIO(), hashlib.sha256()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for path in sorted(source.rglob("*.py")):
            name, content = path.relative_to(source).as_posix(), path.read_bytes()
            digest.update(f"{name} {len(content)}\n".encode() + content)
            entry = tarfile.TarInfo(f"{PACKAGE}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return base64.b64encode(gzip.compress(plain.getvalue(), mtime=0)).decode(), digest.hexdigest()[:16]


class ActionModule(ActionBase):
    """Packs on the controller, and lets the module of the same name install."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        archive, digest = pack()
        arguments = {**self._task.args, "archive": archive, "digest": digest}
        answer: dict[str, Any] = self._execute_module(
            module_name="tutorops.scale.edge_runtime", module_args=arguments, task_vars=task_vars
        )
        return answer
