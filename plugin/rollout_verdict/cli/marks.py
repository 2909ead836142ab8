"""``rollout-verdict marks``, ``mark``, ``unmark``: what people know to be benign, as a service keeps it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from rollout_verdict.cli.input import InputError
from rollout_verdict.cli.mcp import token
from rollout_verdict.core.quote import visible

TIMEOUT_S = 30.0
_LINE = 500  # characters of a line's text


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The service to ask, by its base address, and the file with a token for it."""

    url: str
    token_file: Path | None

    def listed(self, namespace: str, name: str) -> Iterator[str]:
        """Return marks, newest first, a line each. Raises InputError."""
        given = {key: text for key, text in (("namespace", namespace), ("name", name)) if text}
        for one in self._ask("GET", "/v1/marks", params=given).json()["marks"]:
            yield _line(one)

    def add(self, analysis: str, item: str, why: str, expires: str) -> str:
        """Mark an item of an analysis; return the mark's line. Raises InputError."""
        body = {"analysis": analysis, "item": item, "why": why, **({"expires": expires} if expires else {})}
        return _line(self._ask("POST", "/v1/marks", json=body).json())

    def remove(self, mark: str) -> None:
        """Take a mark back. Raises InputError."""
        if not mark.isalnum():  # it becomes part of a path
            raise InputError(f"{mark[:40]!r} is no id of a mark; `rollout-verdict marks` tells them")
        self._ask("DELETE", f"/v1/marks/{mark}")

    def _ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        secret = token(self.token_file)
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        try:
            answer = httpx2.request(
                method, self.url.rstrip("/") + path, headers=headers, timeout=TIMEOUT_S, trust_env=False, **more
            )
            told = None if answer.is_success else answer.json().get("message")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise InputError(f"--service: the service cannot be reached ({type(error).__name__})") from None
        except (ValueError, AttributeError):
            told = None
        if not answer.is_success:
            raise InputError(f"the service answered with status {answer.status_code}: {told or 'no message'}")
        return answer


def _line(mark: Mapping[str, Any]) -> str:
    until = f" until {mark['expires']}" if mark["expires"] else ""
    rollout = f"{mark['namespace']}/{mark['name']}" if mark["namespace"] else mark["name"]
    about = f"{mark['kind']} {mark['text']!r}, {mark['who']} {mark['when']}{until}: {mark['why']}"
    return f"{mark['id']}  {rollout}  {visible(about, limit=_LINE)}\n"
