"""Addresses of the LMS and of the CMS."""

from __future__ import annotations

from courses import views as courses
from django.urls import path
from ledger import views as ledger

urlpatterns = [
    path("", courses.index),
    path("heartbeat", ledger.heartbeat),
    path("ledger/<str:store>", ledger.entries),
    path("ledger/<str:store>/<str:key>", ledger.entry),
]
