"""What all routes of pages have in common: problems become pages, and where things are."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from rollout_verdict.jobs.analysis import Request as Asked
from rollout_verdict.jobs.analysis import UnavailableError as StoreUnavailableError
from rollout_verdict.jobs.marks import RolloutMark
from rollout_verdict.service.pages.frame import problem
from rollout_verdict.service.pages.rows import in_url
from rollout_verdict.service.problems import ProblemError
from rollout_verdict.service.services import Services
from rollout_verdict.service.told import told

LONGEST = 253  # characters of a name, as Kubernetes has it
AnalysisId = Annotated[str, Path(max_length=64)]


class PageRoute(APIRoute):
    """A route whose problems are told to people, as a page. Who is not logged in is the application's to lead."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with what it raises turned into a page."""
        handler = super().get_route_handler()

        async def told_as_page(request: Request) -> Response:
            try:
                return await handler(request)
            except ProblemError as error:
                if error.status == 401:
                    raise
                return problem(request, error.status, error.message)
            except RequestValidationError as error:
                return problem(request, 422, told(error))
            except StoreUnavailableError as error:
                return problem(request, 503, str(error))
            except HTTPException as error:
                return problem(request, error.status_code, str(error.detail))

        return told_as_page


def base_of(request: Request) -> str:
    """Return where the application is mounted."""
    return str(request.scope.get("root_path", ""))


def history_of(base: str, of: Asked | RolloutMark) -> str:
    """Return where the history of a rollout is."""
    return f"{base}/history?namespace={in_url(of.namespace)}&name={in_url(of.name)}"


def modes(services: Services) -> tuple[tuple[str, str], ...]:
    """Return how may be judged, as (value, words): without a model there is one way."""
    if not services.about.model:
        return (("auto", "by rules"),)
    return (
        ("auto", "by rules and model"),
        ("rules", "by rules alone"),
        ("advisory", "by rules, explained by the model"),
    )
