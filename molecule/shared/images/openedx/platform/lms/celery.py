"""The Celery application of the LMS; Tutor's worker command names this module."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lms.envs.tutor.production")
APP = Celery("lms")
APP.config_from_object("django.conf:settings")
APP.autodiscover_tasks()
