"""Log records of this program, redacted before any handler writes them.

A record may carry a secret in its message, its arguments, the text of an exception or an extra field. The filter
settles all of them into plain text once, so that no formatter behind it can bring one back.
"""

import logging
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from rollout_verdict.core.redaction.redact import Redactor

# What a record is made of (logging.LogRecord); every other attribute came in by ``extra``.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_DEPTH = 6  # deeper data is rare in a log record, and an endless one must end


class RedactingFilter(logging.Filter):
    """Redacts records. Belongs on a handler, where it sees the records of every logger."""

    def __init__(self, custom: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._redactor = Redactor(custom=custom)
        self._lock = Lock()  # handlers filter before they take their own
        self._formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place and let it pass."""
        with self._lock:
            if record.args:  # each by itself: once formatted, quotes and line ends may be escaped beyond telling
                record.args = self._settled("", record.args, _DEPTH, keep=True)
            record.msg, record.args = self._redactor.text(record.getMessage()), None
            if record.exc_info:
                record.exc_text = self._formatter.formatException(record.exc_info)
                record.exc_info = None
            if record.exc_text:
                record.exc_text = self._redactor.text(record.exc_text)
            if record.stack_info:
                record.stack_info = self._redactor.text(record.stack_info)
            for name, value in vars(record).items():
                if name not in _OWN:
                    setattr(record, name, self._settled(name, value, _DEPTH, keep=False))
        return True

    def _settled(self, name: str, value: Any, depth: int, *, keep: bool) -> Any:
        """Redact a value by its name and its text; an object that is no plain data becomes text unless ``keep``."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            return self._redactor.tree((name, value))[1]
        if depth and isinstance(value, Mapping):
            return {key: self._settled(str(key), one, depth - 1, keep=keep) for key, one in value.items()}
        if depth and isinstance(value, list | tuple | set | frozenset):
            return tuple(self._settled(name, one, depth - 1, keep=keep) for one in value)
        return value if keep else self._redactor.text(repr(value))


def redact_records(*handlers: logging.Handler, custom: Sequence[tuple[str, str]] = ()) -> None:
    """Put one redacting filter on all given handlers, so that numbers agree between them."""
    redacting = RedactingFilter(custom)
    for handler in handlers:
        handler.addFilter(redacting)
