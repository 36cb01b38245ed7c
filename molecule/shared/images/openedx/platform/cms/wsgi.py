"""The WSGI application of the CMS, which Tutor's uwsgi.ini names."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms.envs.tutor.production")

from cms.celery import APP
from django.core.wsgi import get_wsgi_application

# Tasks are sent through it.
APP.set_default()
application = get_wsgi_application()
