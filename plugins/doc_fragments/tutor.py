# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that all modules over the tutor command line share."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation only; twin of TUTOR_OPTIONS in module_utils/tutor_module.py."""

    DOCUMENTATION = r"""
options:
  root:
    description:
      - Directory of the Tutor project, the one that holds C(config.yml).
      - Without it, the answer of C(tutor config printroot) for O(owner) is taken.
    type: path
  binary:
    description:
      - The C(tutor) executable.
      - Without it, it is looked for on the E(PATH), in the owner's C(~/.local/bin) and in C(/usr/local/bin).
    type: path
  plugins_root:
    description:
      - Directory of single-file plugins; without it, the one that Tutor itself uses for the owner of the root.
    type: path
  owner:
    description:
      - Name of the user to whom the root must belong; any other owner is an error.
      - Without it, whoever owns O(root). Tutor always runs as the owner, also when the task runs as root.
    type: str
  lock_timeout:
    description:
      - Seconds to wait while another process uses the root.
      - Tutor itself has no lock, and loses settings when two of its processes save at once. The lock is C(flock) on the
        root directory, so that a script can take part in it with C(flock ROOT tutor config save).
    type: float
    default: 60.0
attributes:
  platform:
    description: Hosts on which Tutor runs C(tutor local).
    platforms: posix
    support: full
requirements:
  - Tutor 18 to 22 on the host
  - PyYAML for the host's Python (the package python3-yaml), or for the one that Tutor runs under
notes:
  - E(TUTOR_ROOT) and E(TUTOR_PLUGINS_ROOT) apart, no variable C(TUTOR_*) of the environment reaches Tutor, because it
    would save such an override.
  - Values of settings whose name is that of a secret (password, key, token and the like) are masked in messages and
    diffs.
"""
