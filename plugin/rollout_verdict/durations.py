"""Durations as people write them in Kubernetes: "90s", "1h30m", "500ms", or a plain number of seconds, as text too."""

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PLAIN = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)  # all that options and the environment can say is text
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)", re.ASCII)
# A year: longer than anything that is measured, and short enough for any clock to be moved by.
_LONGEST_S = 365 * 86400.0
EXPECTED = 'a duration such as "90s", "5m" or "1h30m", or a number of seconds, at most a year'


def parse_duration(value: object) -> float:
    """Return seconds. Raises ValueError for anything that is not a duration above zero."""
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        seconds = float(value)
    elif isinstance(value, str):
        parts = _PART.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            raise ValueError(EXPECTED)
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:
            raise ValueError(EXPECTED) from None
    else:
        raise ValueError(EXPECTED)
    if not 0 < seconds <= _LONGEST_S:  # which no NaN is
        raise ValueError(EXPECTED)
    return seconds
