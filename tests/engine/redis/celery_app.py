# Copyright: (c) 2026, Tutor Ops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Celery over the edge, as Open edX runs it. Each execution of a task is one line in a file."""

from __future__ import annotations

import os
import time

from celery import Celery  # type: ignore[import-untyped]

app = Celery("platform", broker=os.environ.get("TUTOROPS_BROKER"))
app.conf.update(
    task_default_queue="edx.lms.core.default",
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    # As in Open edX: what was not acknowledged comes back after an hour, so a test would miss it.
    broker_transport_options={"visibility_timeout": 3600},
)


@app.task(name="write_down")  # type: ignore[untyped-decorator]
def write_down(number: int, seconds: float) -> None:
    """Take some time, then leave a line."""
    time.sleep(seconds)
    handle = os.open(os.environ["TUTOROPS_LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(handle, f"{number}\n".encode())
    os.close(handle)
