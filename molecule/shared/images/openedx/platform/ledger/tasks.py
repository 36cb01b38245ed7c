"""The task that writes an entry."""

from __future__ import annotations

import time

from celery import shared_task
from django.db import InterfaceError, OperationalError

from .models import TaskEntry


# As edx-platform's tasks for grades: a database that is away for a while is no reason to forget a task.
@shared_task(autoretry_for=(InterfaceError, OperationalError), default_retry_delay=1, max_retries=120)
def record(key: str, work_seconds: float = 0.0) -> None:
    """Write one entry, after as much work as a bigger task has: others then wait behind it, fetched or not."""
    time.sleep(work_seconds)
    TaskEntry.objects.create(key=key)
