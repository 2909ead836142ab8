"""The pages that people open: rendered here, readable without script, on a phone, by keyboard and in the dark."""

from fastapi import APIRouter

from rollout_verdict.service.pages import assets, doing, reading
from rollout_verdict.service.services import Services


def router(services: Services) -> APIRouter:
    """Return the routes of all pages and of their files."""
    routes = APIRouter(include_in_schema=False)
    routes.include_router(doing.router(services))  # first: /analyses/new is no analysis
    routes.include_router(reading.router(services))
    routes.include_router(assets.router())
    return routes
