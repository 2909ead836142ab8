"""Container logs as the kubelet keeps and cuts them: one stamp a line, oldest first."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from tests.fakes.kubernetes.status import bad_request

STAMP = len("2026-01-31T10:00:00.000000000Z")


def stamp(time: datetime) -> str:
    """Return a time as the kubelet writes it: RFC 3339 with nine digits, so that text sorts as time."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z"


def stamped(lines: Iterable[tuple[datetime, str]]) -> bytes:
    """Return lines as one text, each with its stamp."""
    return "".join(f"{stamp(time)} {text}\n" for time, text in lines).encode()


def cut(text: bytes, query: Mapping[str, str], now: datetime) -> bytes:
    """Return the part of a log that a query asks for. Raises Refusal for a query the kubelet refuses."""
    since = _since(query, now)
    if since:
        mark = since.encode()
        if text[: len(mark)] < mark:
            kept = [line for line in text.splitlines(keepends=True) if line[: len(mark)] >= mark]
            text = b"".join(kept)
    if "tailLines" in query:
        wanted = int(query["tailLines"])
        text = b"".join(text.splitlines(keepends=True)[-wanted:]) if wanted else b""
    if query.get("timestamps") != "true":
        text = b"".join(line[STAMP + 1 :] for line in text.splitlines(keepends=True))
    return text[: int(query["limitBytes"])] if "limitBytes" in query else text


def _since(query: Mapping[str, str], now: datetime) -> str:
    if "sinceTime" in query and "sinceSeconds" in query:
        raise bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if "sinceSeconds" in query:
        return stamp(now - timedelta(seconds=int(query["sinceSeconds"])))
    if "sinceTime" not in query:
        return ""
    try:
        return stamp(datetime.fromisoformat(query["sinceTime"]))
    except ValueError as error:
        raise bad_request(
            f'parsing time "{query["sinceTime"]}" as "2006-01-02T15:04:05Z07:00": cannot parse'
        ) from error
