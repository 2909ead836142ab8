"""Checks of the sources beside the cluster: which presets Prometheus can feed, and whether the model would answer."""

import asyncio
import string
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rollout_verdict.cli.check import Check, State
from rollout_verdict.core.quote import visible
from rollout_verdict.settings import Settings, SettingsError
from rollout_verdict.wiring import model_options, prometheus_server, prompt_templates

if TYPE_CHECKING:
    from rollout_verdict.adapters.gemini.trouble import Kind

KEY_LETTERS = frozenset(string.ascii_letters + string.digits + "-_.")  # of the vendor's keys, old form and new
KEY_LENGTH = (20, 200)
LOOKED_BACK_S = 600.0  # a series that nobody has scraped for ten minutes feeds no verdict


def prometheus(settings: Settings, address: str, answer_s: float) -> Check:
    """Return whether Prometheus answers, and which presets have series there, whoever they are about."""
    if not (address or settings.prometheus.address):
        return Check(
            name="prometheus",
            state=State.OPTIONAL,
            found="no address: verdicts are by logs and pod states alone",
            todo="set ROLLOUT_VERDICT_PROMETHEUS, or name it by --prometheus",
        )
    return asyncio.run(_presets(settings, address, answer_s))


async def _presets(settings: Settings, address: str, answer_s: float) -> Check:
    from rollout_verdict.adapters.prometheus.catalogue import presets
    from rollout_verdict.adapters.prometheus.client import Client
    from rollout_verdict.adapters.prometheus.options import AddressError, matching, permitted
    from rollout_verdict.adapters.prometheus.probe import Span, metrics_there
    from rollout_verdict.adapters.prometheus.trouble import TroubleError

    server = prometheus_server(settings, address)
    now = time.time()
    try:
        client = Client(server, permitted(server, ""), end=time.monotonic() + answer_s)
        try:
            given = await metrics_there(
                client, Span(start=now - LOOKED_BACK_S, end=now), matching(settings.prometheus.matchers)
            )
        finally:
            await client.close()
    except AddressError as error:
        todo = "write it as http(s)://HOST[:PORT][/PATH]"
        return Check(name="prometheus", state=State.MISSING, found=str(error), todo=todo)
    except TroubleError as trouble:
        found = f"{server.address}: {trouble}"
        return Check(name="prometheus", state=State.MISSING, found=found, todo=trouble.treatment.hint)
    fed = [preset.name for preset in presets() if any(variant.counter in given for variant in preset.variants)]
    if not fed:
        found = f"{server.address} answers, and has none of the metrics that the presets know"
        todo = "scrape the router, the mesh or the application; or write queries of your own in the template"
        return Check(name="prometheus", state=State.OPTIONAL, found=found, todo=todo)
    return Check(name="prometheus", state=State.OK, found=f"{server.address} can feed {', '.join(fed)}")


def model(settings: Settings, *, ask: bool) -> Iterator[Check]:
    """Yield whether a model can be asked, and with ``ask`` whether it answers."""
    if not settings.model_configured:
        todo = "set GEMINI_API_KEY (or ROLLOUT_VERDICT_API_KEY_FILE) to have a model judge as well"
        found = "no API key: verdicts are by rules alone"
        yield Check(name="model", state=State.OPTIONAL, found=found, todo=todo)
        return
    try:
        options = model_options(settings)
    except SettingsError as error:
        yield Check(name="model", state=State.MISSING, found=str(error), todo="correct it, or unset the variable")
        return
    where = f"Vertex AI, project {settings.project}" if settings.vertex else f"key from {settings.key_source}"
    if problem := "" if settings.vertex or settings.api_key is None else _key_problem(settings.api_key.reveal()):
        todo = f"copy the key again into {settings.key_source}, whole and without quotes"
        yield Check(name="model", state=State.MISSING, found=f"{where}: {problem}", todo=todo)
        return
    yield Check(name="model", state=State.OK, found=f"{where}, {', '.join(options.models)}")
    if ask:
        yield asyncio.run(_answer(settings))


def _key_problem(key: str) -> str:
    """Return what is wrong with the look of a key, never a part of it."""
    if not set(key) <= KEY_LETTERS:
        return "the key holds characters that no key has"
    if not KEY_LENGTH[0] <= len(key) <= KEY_LENGTH[1]:
        return f"the key has {len(key)} characters, which is too {'few' if len(key) < KEY_LENGTH[0] else 'many'}"
    return ""


async def _answer(settings: Settings) -> Check:
    """Ask the first model of the chain a question of a few words."""
    from rollout_verdict.adapters.gemini.call import Client
    from rollout_verdict.adapters.gemini.trouble import Kind, TroubleError
    from rollout_verdict.core.model.prompt import Prompt

    options, templates = model_options(settings), prompt_templates(settings)
    word = "This is a test of the connection. Answer with decision inconclusive and nothing else."
    prompt = Prompt(
        templates=templates, boundary="", system="Answer briefly.", user=word, shown={}, omitted=(), tokens=100
    )
    client = Client(options)
    started = time.monotonic()
    try:
        said, _ = await client.ask(options.models[0], prompt, 256, options.thinking)
    except TroubleError as error:
        said = error
    finally:
        await client.close()
    took = time.monotonic() - started
    name = f"answer of {options.models[0]}"
    if isinstance(said, TroubleError) and said.kind is not Kind.TRUNCATED:  # a cut answer is one, too
        return Check(name=name, state=State.MISSING, found=visible(str(said)), todo=_todo(said.kind))
    return Check(name=name, state=State.OK, found=f"came in {took:.1f} s")


def _todo(kind: "Kind") -> str:
    from rollout_verdict.adapters.gemini.trouble import Kind

    if kind in (Kind.UNAUTHENTICATED, Kind.CREDENTIALS):
        return "see that the key is valid, and allowed for this API and from this address"
    if kind is Kind.NOT_FOUND:
        return "name a model that the key may use in ROLLOUT_VERDICT_MODELS"
    if kind in (Kind.NETWORK, Kind.TIMED_OUT):
        return "let this machine reach the model's address; behind a proxy set HTTPS_PROXY"
    return "try again; verdicts are by rules alone until it answers"
