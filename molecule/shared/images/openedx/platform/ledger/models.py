"""Entries in MySQL. Nothing makes a key unique, so that an entry written twice shows."""

from __future__ import annotations

from django.db import models


class Entry(models.Model):
    """Written by a request. As much of what learners write, its text needs a connection with utf8mb4."""

    key = models.CharField(max_length=191, db_index=True)
    text = models.TextField(default="written 📝")
    created = models.DateTimeField(auto_now_add=True)


class TaskEntry(models.Model):
    """Written by a Celery worker."""

    key = models.CharField(max_length=191, db_index=True)
    created = models.DateTimeField(auto_now_add=True)
