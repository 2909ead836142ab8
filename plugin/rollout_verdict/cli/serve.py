"""``rollout-verdict serve``: the service from the environment, until it is told to stop."""

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rollout_verdict.cli.input import InputError
from rollout_verdict.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from rollout_verdict.service.auth import Authenticator
    from rollout_verdict.service.services import Services
    from rollout_verdict.service.settings import ServiceSettings
    from rollout_verdict.service.tokens import TokenFile

_LOG = logging.getLogger(__name__)

NEEDED = ("dbos", "limits", "prometheus_client", "python_multipart", "structlog", "uvicorn")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
KEY_FILE = "session.key"
KEY_BYTES = 32
STOP_S = 20.0  # for requests that are under way; less than the 30 s that Kubernetes leaves a pod


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where to listen."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def serve(door: Door) -> None:
    """Run the service until it is told to stop. Raises InputError, SettingsError."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise InputError(f"serve needs {', '.join(missing)}: pip install '.[service]' in a checkout")
    import uvicorn

    from rollout_verdict.service.app import create_app
    from rollout_verdict.service.logs import configure_logs

    settings, level = read_settings(os.environ), _level(os.environ)
    with _bound(door) as sockets, _services(settings) as (services, words):
        sys.stderr.write(words(door))
        sys.stderr.flush()
        configure_logs(level, settings.redact)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(services),
                host=door.host,
                port=door.port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=int(STOP_S),
                h11_max_incomplete_event_size=65_536,  # of headers; a service account token has a KiB
                lifespan="off",
            )
        )
        server.run(sockets)


def _level(environment: Mapping[str, str]) -> str:
    level = environment.get("LOG_LEVEL", "").strip().upper() or "INFO"
    if level not in logging.getLevelNamesMapping():
        raise SettingsError(f"LOG_LEVEL: expected one of {', '.join(LEVELS)}, got {level[:40]!r}: correct or unset it")
    return level


@contextmanager
def _bound(door: Door) -> Iterator[list[socket.socket]]:
    """Take the port before anything is made or printed. Raises InputError.

    A name that has several addresses, as localhost does, is listened on at each of them, as uvicorn would.
    """
    with ExitStack() as stack:
        sockets = []
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(
                door.host or None, door.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                one = stack.enter_context(socket.socket(family, kind, protocol))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind(address)
                one.listen()  # from here on what we say is so: who connects waits until the server takes over
                sockets.append(one)
        except OSError as error:
            raise InputError(
                f"cannot listen on {door.url} ({error.strerror}): choose another port by --port or another address by "
                "--host, or stop what listens there"
            ) from None
        yield sockets


@contextmanager
def _services(settings: Settings) -> "Iterator[tuple[Services, Callable[[Door], str]]]":
    """Give everything behind the door, and the words for the person who starts it."""
    from rollout_verdict import __version__, wiring
    from rollout_verdict.jobs.analysis import UnavailableError
    from rollout_verdict.jobs.database import DatabaseError
    from rollout_verdict.jobs.settings import read_job_settings
    from rollout_verdict.service.auth import Authenticator
    from rollout_verdict.service.counting import Ends, watch
    from rollout_verdict.service.live import Live
    from rollout_verdict.service.metrics import Metrics
    from rollout_verdict.service.rates import Rates
    from rollout_verdict.service.review import reviewer_in_cluster
    from rollout_verdict.service.services import About, Services, utc_now
    from rollout_verdict.service.settings import read_service_settings
    from rollout_verdict.service.tracing import tracer

    found = replace(read_service_settings(os.environ), prometheus=wiring.prometheus_server(settings))
    jobs = read_job_settings(os.environ, found.state_dir)
    _make_state_dir(found.state_dir)
    tokens, made = _tokens(found)
    metrics, rates = Metrics(), Rates(found)
    with ExitStack() as stack:
        model = wiring.model_judge(settings)
        if model is not None:
            stack.callback(_close, model.close)
        live = Live(wiring.live_cluster, wiring.live_metrics(settings))
        stack.callback(live.close)
        traces = tracer(os.environ)
        if traces is not None:
            stack.callback(traces.close)
        ends = Ends(metrics, traces)
        try:
            memory = wiring.rollout_memory(settings, jobs)
            stack.callback(memory.close)
            analyses = wiring.analyses(
                settings, jobs, live, model=model, recall=memory, on_end=ends, took=metrics.stage
            )
            stack.callback(analyses.close)
            ends.analyses = analyses
            analyses.launch()
        except (DatabaseError, UnavailableError) as error:
            raise InputError(str(error)) from error
        watch(metrics, analyses)
        reviewer = reviewer_in_cluster(os.environ)
        if reviewer is not None:
            stack.callback(reviewer.close)
        auth = Authenticator(
            tokens.grants,
            rates,
            clock=utc_now,
            session_s=found.session_s,
            session_key=_session_key(found),
            reviewer=reviewer,
            problem=lambda: tokens.problem,
        )
        about = About(
            version=__version__,
            model=wiring.model_options(settings).models[0] if model is not None else "",
            prompt_digest=wiring.prompt_templates(settings).digest,
        )
        services = Services(
            analyses=analyses,
            marks=memory.marks,
            auth=auth,
            rates=rates,
            settings=found,
            metrics=metrics,
            about=about,
            ready=analyses.ready,
        )
        yield services, _words(auth, tokens, made=made, asked=sys.stderr.isatty())


def _make_state_dir(path: Path) -> None:
    advice = "name a folder that this user may write to by ROLLOUT_VERDICT_STATE_DIR"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileExistsError:
        raise InputError(f"{path} is no folder: {advice}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be made ({error.strerror}): {advice}") from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise InputError(f"{path} cannot be written to: {advice}")


def _tokens(found: "ServiceSettings") -> "tuple[TokenFile, bool]":
    """Return the token file, and whether it was made just now."""
    from rollout_verdict.service.tokens import TokenFile, TokenFileError, make_token_file

    path = found.token_file or found.state_dir / "tokens.toml"
    made = False
    if found.token_file is None:
        with suppress(FileExistsError):
            make_token_file(path)
            made = True
    tokens = TokenFile(path)
    try:
        tokens.load()
    except TokenFileError as error:
        named = "ROLLOUT_VERDICT_TOKENS: " if found.token_file else ""
        raise InputError(f"{named}{path}: {str(error).removeprefix(f'{path}: ')}") from error
    return tokens, made


def _session_key(found: "ServiceSettings") -> bytes:
    """Return the key that signs sessions, made at the first start. Raises InputError."""
    import secrets

    from rollout_verdict.service.tokens import private_file

    path = found.session_key_file or found.state_dir / KEY_FILE
    if found.session_key_file is None:
        with suppress(FileExistsError):
            private_file(path, secrets.token_hex(KEY_BYTES).encode())
    named = "ROLLOUT_VERDICT_SESSION_KEY_FILE: " if found.session_key_file else ""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise InputError(f"{named}{path}: cannot be read ({error.strerror})") from error
    if len(key) < KEY_BYTES:
        raise InputError(
            f"{named}{path}: expected a key of at least {KEY_BYTES} bytes, for instance openssl rand -hex 32"
        )
    return key


def _words(auth: "Authenticator", tokens: "TokenFile", *, made: bool, asked: bool) -> Callable[[Door], str]:
    """Return what to print: where it listens and how to log in, with a link that does it where that is safe.

    The first start (``made``) has nobody yet who could know a token. After it the link is for who starts the process
    by hand (``asked``): they can read the token file anyway, those who read a container's log cannot.
    """
    owner = _owner(tokens) if made or asked else ""
    code = auth.make_code(owner) if owner else ""

    def words(door: Door) -> str:
        listening = f"rollout-verdict: listening on {door.url}; log in at /login with a token of {tokens.path}\n"
        if not code:
            return listening
        near = door if door.host in LOOPBACK else replace(door, host="127.0.0.1")
        first = "rollout-verdict: the first start made that file, readable by you alone; its token may do everything\n"
        return (
            f"{listening}{first if made else ''}"
            "Open this link to log your browser in; it works once, and for 15 minutes:\n"
            f"  {near.url}/login?code={code}\n"
        )

    return words


def _owner(tokens: "TokenFile") -> str:
    """Return the digest of the first token that may do everything, "" without one."""
    from rollout_verdict.service.services import utc_now
    from rollout_verdict.service.tokens import Scope

    able = (
        grant.digest
        for grant in tokens.grants().tokens.values()
        if grant.scope is Scope.ADMIN and grant.namespaces is None and (not grant.expires or grant.expires > utc_now())
    )
    return next(able, "")


def _close(close: Callable[[], object]) -> None:
    with suppress(TimeoutError):  # a connection that will not close ends with the process
        close()
