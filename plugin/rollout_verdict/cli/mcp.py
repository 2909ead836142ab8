"""``rollout-verdict mcp``: verdicts for assistants that speak the Model Context Protocol, read-only, over stdio."""

from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from rollout_verdict.cli.input import InputError

TOKEN_BYTES = 16_384


def run(service: str, token_file: Path | None) -> None:
    """Serve until standard input ends. Raises InputError."""
    if find_spec("mcp") is None:
        raise InputError("mcp needs mcp: pip install '.[mcp]' in a checkout")
    from rollout_verdict.service.mcp_server import Reader, server

    _check(service, token_file)  # now, so that what can never work is told before an assistant waits for it
    reader = Reader(service.rstrip("/"), lambda: token(token_file))
    try:
        server(reader).run("stdio")
    finally:
        reader.close()


def _check(service: str, token_file: Path | None) -> None:
    """Raise InputError unless there is an address to ask and a token to ask with."""
    try:
        address = urlsplit(service)
        usable = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError("--service: expected http://HOST[:PORT] or https://HOST[:PORT], the address of the service")
    if not token(token_file) and not address.password:
        where = f"--token-file {token_file}: is empty" if token_file else "there is no token"
        raise InputError(f"{where}; name a file with one by --token-file, scope read is enough")


def token(token_file: Path | None) -> str:
    """Return the token in a file, "" without one. Raises InputError."""
    if token_file is None:
        return ""
    try:
        with token_file.open("rb") as stream:
            return stream.read(TOKEN_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"--token-file {token_file}: cannot be read ({why})") from error
