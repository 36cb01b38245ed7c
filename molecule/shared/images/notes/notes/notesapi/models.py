"""Notes of learners. Nothing makes a key unique, so that a note written twice shows."""

from __future__ import annotations

from django.db import models


class Note(models.Model):
    """One note, which is its own ledger entry."""

    key = models.CharField(max_length=191, db_index=True)
    text = models.TextField()
    created = models.DateTimeField(auto_now_add=True)
