from edx_commands.no_effect import NoEffect as Command  # noqa: F401
