"""What a person hands to a command, and what is said when it cannot be used."""

from dataclasses import replace
from pathlib import Path

from rollout_verdict.adapters import prompts
from rollout_verdict.settings import Settings


class InputError(ValueError):
    """An argument that cannot be used. The text names it and says what to do."""


def with_model(settings: Settings, model: str, mode: str) -> Settings:
    """Return settings that ask the one model a person named. Raises InputError where it could not be asked."""
    if not model:
        return settings
    if mode == "rules":
        raise InputError("--model: mode rules asks no model; leave one of the two out")
    if not settings.model_configured:
        raise InputError(f"--model {model}: there is no API key; set GEMINI_API_KEY, or leave --model out")
    return replace(settings, models=(model,))


def with_prompt(settings: Settings, version: str, mode: str) -> Settings:
    """Return settings with the prompt version a person named. Raises InputError where no model would get it."""
    if not version:
        return settings
    try:
        prompts.load(version)
    except ValueError as error:
        raise InputError(f"--prompt-version: {error}") from error
    if mode == "rules":
        raise InputError("--prompt-version: mode rules asks no model; leave one of the two out")
    if not settings.model_configured:
        raise InputError(
            f"--prompt-version {version}: there is no API key; set GEMINI_API_KEY, or leave --prompt-version out"
        )
    return replace(settings, prompt_version=version)


def examples_folder() -> Path:
    """Return the folder of the example bundles: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    places = (package / "_examples", package.parent.parent / "examples" / "bundles")
    for place in places:
        if place.is_dir():
            return place
    raise InputError(f"the example bundles are neither in {places[0]} nor in {places[1]}: reinstall the package")
