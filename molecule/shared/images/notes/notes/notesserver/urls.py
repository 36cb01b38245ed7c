"""Addresses of the notes service."""

from __future__ import annotations

from django.urls import path
from notesapi.v1.views import ledger

urlpatterns = [
    path("heartbeat", ledger.heartbeat),
    path("heartbeat/", ledger.heartbeat),
    path("ledger/notes", ledger.entries),
    path("ledger/notes/<str:key>", ledger.entry),
]
