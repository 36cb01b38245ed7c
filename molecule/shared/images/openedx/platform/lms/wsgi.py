"""The WSGI application of the LMS, which Tutor's uwsgi.ini names."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lms.envs.tutor.production")

from django.core.wsgi import get_wsgi_application
from lms.celery import APP

# Tasks are sent through it.
APP.set_default()
application = get_wsgi_application()
