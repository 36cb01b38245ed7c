# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules do in check and diff mode, and where they run; a module says only in what it is different."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation only."""

    # Modules that change something.
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Says what would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows what differs.
    support: full
  platform:
    description: Debian and Ubuntu, with systemd.
    platforms: posix
    support: full
"""

    # Modules that only read.
    READS = r"""
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Changes nothing, so there is nothing to show.
    support: N/A
  platform:
    description: Debian and Ubuntu, with systemd.
    platforms: posix
    support: full
"""

    # Modules that keep a cluster, from a host that reaches all of it.
    CLUSTER = r"""
attributes:
  check_mode:
    description: Says whether something would change, from what the members say; with O(state=restarted) that is given.
    support: full
  diff_mode:
    description: Shows the states of the members before and after.
    support: full
  platform:
    description: Any host that reaches all members.
    platforms: posix
    support: full
"""

    # Modules with a part on the controller.
    ACTION = r"""
attributes:
  action:
    description: Part of it runs on the controller.
    support: full
"""
