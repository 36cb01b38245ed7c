# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that keep the accounts of a MySQL group."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation only."""

    DOCUMENTATION = r"""
options:
  admin_user:
    description: Administrator of all members.
    type: str
    required: true
  admin_password:
    description: The administrator's password.
    type: str
    required: true
  admin_hosts:
    description: From where the administrator may log in, as MySQL's host patterns.
    type: list
    elements: str
    default: ['%']
  replication_user:
    description: Account that the members use among themselves.
    type: str
    required: true
  replication_password:
    description: Its password.
    type: str
    required: true
  health_user:
    description: Account of the health endpoint, logged in by socket.
    type: str
    default: tutorops_health
requirements:
  - PyMySQL on the host (the package python3-pymysql)
"""
