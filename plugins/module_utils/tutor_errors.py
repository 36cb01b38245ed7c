# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that everything around the tutor command line raises."""

from __future__ import annotations


class TutorError(Exception):
    """A sentence for the operator: what, where, why, and the cure; it never contains a secret."""
