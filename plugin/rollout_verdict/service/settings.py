"""The settings of the service: the environment, read once, checked, and passed down as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from rollout_verdict.adapters.prometheus.options import Server
from rollout_verdict.durations import parse_duration
from rollout_verdict.settings import SettingsError

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Settings of the door. Sizes are bytes, durations seconds, rates requests a minute and caller.

    ``prometheus`` says which addresses a request may have the service ask: without one on its list, a request that
    names an address is refused, since the service stands inside the cluster.
    """

    state_dir: Path
    token_file: Path | None = None  # None: tokens.toml in the state directory, made at the first start
    session_key_file: Path | None = None  # None: session.key in the state directory, made at the first start
    public_url: str = ""  # base of links in measurements and messages; "" leaves them out
    prometheus: Server = field(default_factory=Server)
    body_bytes: int = MIB  # a measurement's configuration has some KiB
    upload_bytes: int = 64 * MIB  # a bundle as it comes over the wire; logs of an hour pack into a few MiB
    upload_timeout_s: float = (
        60.0  # for a place, and then the whole body: who sends more slowly holds one that others need
    )
    uploads: int = 4  # bodies held in memory at once
    streams: int = 50  # event streams of one caller, so that none holds all of the places below
    watchers: int = 500  # event streams and callers that wait for their verdict, at once
    reads_per_minute: int = 12_000  # a controller polls each of 1,000 measurements 4 to 12 times a minute
    starts_per_minute: int = 1_200  # more than a controller with 30 workers starts; each may cost a model call
    failures_per_minute: int = 60  # of callers that cannot say who they are, by address: each may cost a TokenReview
    watch_interval_s: float = 0.5  # how often a stream looks whether there is something new
    heartbeat_s: float = 15.0  # proxies close what is silent; 30 s is the shortest limit in common use
    stream_s: float = 900.0  # an event stream ends after this; browsers come back by themselves
    agent_wait_s: float = 280.0  # the Go plugin waits 5 minutes for its agent and then counts an error
    reuse_s: float = (
        900.0  # a poll for the same canary gets a verdict for so long, then a fresh one: 41 polls take 10 min
    )
    session_s: float = 12 * 3600.0  # a browser stays logged in for a working day


def read_service_settings(environment: Mapping[str, str]) -> ServiceSettings:
    """Return the service's settings in an environment. Raises SettingsError for a value that cannot be used.

    | variable | meaning |
    | --- | --- |
    | ``ROLLOUT_VERDICT_STATE_DIR`` | folder of what outlives a restart; ``~/.local/state/rollout-verdict`` |
    | ``ROLLOUT_VERDICT_TOKENS`` | file that says who may do what (TOML); ``tokens.toml`` in the folder above |
    | ``ROLLOUT_VERDICT_SESSION_KEY_FILE`` | file with the key that signs sessions; the same for all replicas |
    | ``ROLLOUT_VERDICT_URL`` | address of the service as people open it; links in messages begin with it |
    | ``ROLLOUT_VERDICT_UPLOAD_MIB`` | size of an uploaded bundle at most |
    | ``ROLLOUT_VERDICT_READS_PER_MINUTE``, ``ROLLOUT_VERDICT_STARTS_PER_MINUTE`` | requests of one caller |
    | ``ROLLOUT_VERDICT_REUSE`` | how long a poll for the same canary gets the same verdict, "15m" |
    """
    env = {name: value.strip() for name, value in environment.items() if value.strip()}
    ours = "ROLLOUT_VERDICT_"
    tokens = env.get(f"{ours}TOKENS")
    url = env.get(f"{ours}URL", "")
    default = ServiceSettings(state_dir=Path())
    return ServiceSettings(
        state_dir=state_dir(env),
        token_file=Path(tokens) if tokens else None,
        session_key_file=Path(key_file) if (key_file := env.get(f"{ours}SESSION_KEY_FILE")) else None,
        public_url=_address(f"{ours}URL", url) if url else "",
        upload_bytes=_count(env, f"{ours}UPLOAD_MIB", default.upload_bytes // MIB) * MIB,
        reads_per_minute=_count(env, f"{ours}READS_PER_MINUTE", default.reads_per_minute),
        starts_per_minute=_count(env, f"{ours}STARTS_PER_MINUTE", default.starts_per_minute),
        reuse_s=_seconds(env, f"{ours}REUSE", default.reuse_s),
    )


def state_dir(environment: Mapping[str, str]) -> Path:
    """Return the folder of what outlives a restart, after the XDG base directory specification where not set."""
    if given := environment.get("ROLLOUT_VERDICT_STATE_DIR"):
        return Path(given)
    home = environment.get("XDG_STATE_HOME")
    return (Path(home) if home else Path("~/.local/state").expanduser()) / "rollout-verdict"


def _address(name: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingsError(f"{name}: expected http(s)://HOST[:PORT], without a user, path, query or fragment")
    return value.rstrip("/")


def _count(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) < 9):
        raise SettingsError(f"{name} is {text[:40]!r}; expected a whole number of at least 1")
    return int(text)


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    if name not in env:
        return default
    try:
        return float(parse_duration(env[name]))
    except ValueError as error:
        raise SettingsError(f"{name} is {env[name][:40]!r}; expected a duration such as 90s or 15m") from error
