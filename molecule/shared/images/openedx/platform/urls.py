"""Addresses of the LMS and of the CMS."""

from __future__ import annotations

from courses import views as courses
from django.urls import path
from ledger import sessions
from ledger import views as ledger

urlpatterns = [
    path("", courses.index),
    path("courses/published", courses.published),
    path("heartbeat", ledger.heartbeat),
    path("ledger/sessions", sessions.login),
    path("ledger/sessions/<str:key>", sessions.whoami),
    path("ledger/<str:store>", ledger.entries),
    path("ledger/<str:store>/<str:key>", ledger.entry),
]
