"""Log lines as hclog writes them: JSON, one record a line, on the real standard error.

The host parses lines with ``@level``, ``@message`` and ``@timestamp``, and chops those over 64 KiB
(hashicorp/go-plugin ``client.go`` logStderr, ``log_entry.go``).
"""

import json
import os
import time

_LEVELS = ("trace", "debug", "info", "warn", "error")
_MAX_TEXT = 2000  # characters of one value; far below the host's limit


class Log:
    """Writes records of ``level`` and above to a file descriptor. Values must not hold secrets."""

    def __init__(self, fd: int = 2, level: str = "info") -> None:
        self._fd = fd
        self._lowest = _LEVELS.index(level) if level in _LEVELS else _LEVELS.index("info")

    def debug(self, message: str, **values: str | float) -> None:
        """Write a record that helps to find a fault."""
        self._write("debug", message, values)

    def info(self, message: str, **values: str | float) -> None:
        """Write a record of the normal course."""
        self._write("info", message, values)

    def warning(self, message: str, **values: str | float) -> None:
        """Write a record of something that is coped with."""
        self._write("warn", message, values)

    def error(self, message: str, **values: str | float) -> None:
        """Write a record of something that a person should look at."""
        self._write("error", message, values)

    def _write(self, level: str, message: str, values: dict[str, str | float]) -> None:
        if _LEVELS.index(level) < self._lowest:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
        record: dict[str, str | float] = {"@level": level, "@message": message, "@timestamp": stamp}
        for key, value in values.items():
            record[key] = value[:_MAX_TEXT] if isinstance(value, str) else value
        line = json.dumps(record).encode("ascii") + b"\n"
        try:
            os.write(self._fd, line)
        except OSError:
            return  # nobody reads our log any more; that is no reason to fail a measurement
