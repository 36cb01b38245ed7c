# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drivers of the stores, by name.

A driver is loaded only when its store is driven: it may need libraries of its own.
"""

from __future__ import annotations

#: Store to module (below this package) and class.
DRIVERS = {"mongodb": "mongodb:MongodbStore", "mysql": "mysql:MysqlStore", "redis": "redis:RedisStore"}
