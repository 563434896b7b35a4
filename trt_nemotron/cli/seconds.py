"""A length of time as an option takes it."""

import click

MOST_SECONDS = 86_400.0
"""A day: what takes longer hangs, and the operating system's own timers take no more for ever."""


class Seconds(click.ParamType):  # type: ignore[type-arg] # generic in new versions only
    """Seconds above zero, a day at most; neither `nan` nor `inf`, which no timer understands."""

    name = "seconds"

    def convert(
        self,
        value: str | float,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """The number of seconds."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not 0.0 < seconds <= MOST_SECONDS:
            self.fail(f"{value!r} is no number of seconds from 0 to {MOST_SECONDS:g}.", param, ctx)
        return seconds
