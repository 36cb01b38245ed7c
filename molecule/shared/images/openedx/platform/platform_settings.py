"""Settings below those that Tutor renders: what edx-platform's own files define and Tutor changes or reads.

Nothing here names a store: hosts, accounts and passwords come from the YAML file that Tutor renders, or from Tutor's
settings on top.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django_celery_results",
    "courses",
    "ledger",
    "edx_commands",
    # Tutor removes this one by name.
    "lms.djangoapps.coursewarehistoryextended",
]
DATABASE_ROUTERS = ["openedx.core.lib.django_courseware_routers.StudentModuleHistoryExtendedRouter"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
ROOT_URLCONF = "urls"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
MEDIA_URL = "/media/"
STATIC_URL = "/static/"
STATIC_ROOT = "/openedx/staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
COURSE_IMPORT_EXPORT_STORAGE = USER_TASKS_ARTIFACT_STORAGE = "django.core.files.storage.FileSystemStorage"
MODULESTORE = {
    "default": {
        "OPTIONS": {
            "stores": [
                {"NAME": "split", "DOC_STORE_CONFIG": {"collection": "modulestore"}, "OPTIONS": {"fs_root": ""}},
            ]
        }
    },
}
PROFILE_IMAGE_BACKEND: dict[str, Any] = {"class": "openedx.core.storage.OverwriteStorage", "options": {"location": ""}}
VIDEO_IMAGE_SETTINGS = {"STORAGE_KWARGS": {"location": ""}}
VIDEO_TRANSCRIPTS_SETTINGS = {"STORAGE_KWARGS": {"location": ""}}
CORS_ORIGIN_WHITELIST: list[str] = []
IDA_LOGOUT_URI_LIST: list[str] = []
JWT_AUTH: dict[str, Any] = {}
REGISTRATION_EXTRA_FIELDS: dict[str, str] = {}
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"standard": {"format": "%(asctime)s %(levelname)s %(process)d [%(name)s] %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "standard"}},
    "loggers": {"tracking": {"handlers": ["console"], "level": "DEBUG"}},
    "root": {"level": "INFO", "handlers": ["console"]},
}


def production(variant: str) -> dict[str, Any]:
    """Settings out of the YAML file that Tutor renders for the LMS or the CMS."""
    tokens = yaml.safe_load(Path(os.environ[f"{variant.upper()}_CFG"]).read_text(encoding="utf-8"))
    queue = f"edx.{variant}.core.default"
    return {
        **tokens,
        "ENV_TOKENS": tokens,
        "FEATURES": dict(tokens.get("FEATURES") or {}),
        "SERVICE_VARIANT": variant,
        "BROKER_URL": "{CELERY_BROKER_TRANSPORT}://{CELERY_BROKER_USER}:{CELERY_BROKER_PASSWORD}"
        "@{CELERY_BROKER_HOSTNAME}/{CELERY_BROKER_VHOST}".format_map(tokens),
        # What edx-platform chooses about its broker: a connection for each task that is sent, results in the cache,
        # and events about every task.
        "BROKER_CONNECTION_RETRY_ON_STARTUP": True,
        "BROKER_CONNECTION_TIMEOUT": 1,
        "BROKER_HEARTBEAT": 60.0,
        "BROKER_HEARTBEAT_CHECKRATE": 2,
        "BROKER_POOL_LIMIT": 0,
        "BROKER_TRANSPORT_OPTIONS": {
            "fanout_patterns": True,
            "fanout_prefix": True,
            **(tokens.get("CELERY_BROKER_TRANSPORT_OPTIONS") or {}),
        },
        "CELERY_ACCEPT_CONTENT": ["json"],
        "CELERY_CACHE_BACKEND": "celery",
        "CELERY_IGNORE_RESULT": False,
        "CELERY_MESSAGE_COMPRESSION": "gzip",
        "CELERY_RESULT_BACKEND": "django-cache",
        "CELERY_RESULT_SERIALIZER": "json",
        "CELERY_SEND_EVENTS": True,
        "CELERY_SEND_TASK_SENT_EVENT": True,
        "CELERY_TASK_SERIALIZER": "json",
        "CELERY_TRACK_STARTED": True,
        "CELERYD_HIJACK_ROOT_LOGGER": False,
        "CELERYD_PREFETCH_MULTIPLIER": 1,
        "CELERY_DEFAULT_EXCHANGE": f"edx.{variant}.core",
        "CELERY_DEFAULT_QUEUE": queue,
        "CELERY_DEFAULT_ROUTING_KEY": queue,
        "CELERY_QUEUES": {queue: {}, f"edx.{variant}.core.high": {}},
    }
