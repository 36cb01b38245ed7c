"""What Tutor's rendered settings of the LMS start from."""

from __future__ import annotations

from platform_settings import *  # noqa: F403  (Tutor's settings take them over in the same way)
from platform_settings import production

globals().update(production("lms"))
