"""What goes wrong at the door, as an answer: a status and ``{"message": …}``, which holds no secret."""

from collections.abc import Mapping


class ProblemError(Exception):
    """An answer that is not the one hoped for. The text is shown to whoever asked."""

    status = 500

    def __init__(self, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = dict(headers or {})


class InvalidError(ProblemError):
    """400: the request cannot be understood."""

    status = 400


class UnauthenticatedError(ProblemError):
    """401: it is not known who asks."""

    status = 401

    def __init__(self, message: str) -> None:
        super().__init__(message, {"WWW-Authenticate": 'Bearer realm="rollout-verdict"'})


class ForbiddenError(ProblemError):
    """403: whoever asks may not do this."""

    status = 403


class UnknownError(ProblemError):
    """404: there is no such thing, or none that whoever asks may see."""

    status = 404


class ConflictError(ProblemError):
    """409: something else has that name, or is not so far yet."""

    status = 409


class TooLargeError(ProblemError):
    """413: more than is taken."""

    status = 413


class MediaTypeError(ProblemError):
    """415: a kind of content that is not taken."""

    status = 415


class UnusableError(ProblemError):
    """422: understood, and cannot be done as it stands."""

    status = 422


class TooManyError(ProblemError):
    """429: too often."""

    status = 429

    def __init__(self, message: str, retry_after_s: int = 60) -> None:
        super().__init__(message, {"Retry-After": str(retry_after_s)})


class UnavailableError(ProblemError):
    """503: not just now."""

    status = 503

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        super().__init__(message, {"Retry-After": str(retry_after_s)})
