"""A command that Tutor's init jobs call."""

from __future__ import annotations

from edx_commands.no_effect import NoEffect


class Command(NoEffect):
    """Nothing to do on this platform."""
