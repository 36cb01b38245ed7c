# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Importing this makes `ansible_collections.tutorops.scale` mean this checkout, also beside an installed `ansible`."""

from __future__ import annotations

from pathlib import Path

import ansible_collections  # type: ignore[import-untyped]

_FOLDER = str(Path(__file__).resolve().parents[2] / ".ansible" / "collections" / "ansible_collections")
if _FOLDER not in ansible_collections.__path__:
    ansible_collections.__path__ = [_FOLDER, *ansible_collections.__path__]
