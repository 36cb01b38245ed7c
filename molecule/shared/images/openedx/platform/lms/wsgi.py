"""The WSGI application of the LMS, which Tutor's uwsgi.ini names."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lms.envs.tutor.production")

from django.core.wsgi import get_wsgi_application  # noqa: E402

from lms.celery import APP  # noqa: E402, F401  (tasks are sent through this application)

application = get_wsgi_application()
