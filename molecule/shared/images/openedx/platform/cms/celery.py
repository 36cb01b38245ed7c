"""The Celery application of the CMS; Tutor's worker command names this module."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms.envs.tutor.production")
APP = Celery("cms")
APP.config_from_object("django.conf:settings")
APP.autodiscover_tasks()
