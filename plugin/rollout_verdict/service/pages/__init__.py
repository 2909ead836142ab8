"""The pages that people open: rendered here, readable without script, on a phone, by keyboard and in the dark."""

from rollout_verdict.service.pages.routes import router

__all__ = ["router"]
