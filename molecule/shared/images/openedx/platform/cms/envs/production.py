"""What Tutor's rendered settings of the CMS start from."""

from __future__ import annotations

from platform_settings import *  # noqa: F403
from platform_settings import production

globals().update(production("cms"))
