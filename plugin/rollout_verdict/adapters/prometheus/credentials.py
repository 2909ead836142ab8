"""What a client signs in with and whom it trusts: files into headers and TLS settings. Nothing here is ever shown."""

import ssl
from pathlib import Path

import httpx2

from rollout_verdict.adapters.prometheus.options import Server
from rollout_verdict.adapters.prometheus.trouble import Kind, TroubleError
from rollout_verdict.core.model.neutral import plain

SECRET_BYTES = 16_384  # a token has some hundred, a JSON Web Token a few thousand
REASON_LENGTH = 200
_SCRUBBED = 4  # characters: a shorter "secret" is a tenant's number, and would blot out half of the words


def credentials(server: Server) -> tuple[dict[str, str], httpx2.BasicAuth | None, tuple[str, ...]]:
    """Return headers, authentication and what of them must never be shown. Raises TroubleError."""
    headers = dict(server.headers)
    secrets = [value for _, value in server.headers]
    auth = None
    if server.token_file:
        token = _secret(server.token_file)
        headers["authorization"] = f"Bearer {token}"
        secrets.append(token)
    elif server.username:
        password = _secret(server.password_file) if server.password_file else ""
        auth = httpx2.BasicAuth(server.username, password)
        secrets += [password, *auth._auth_header.split()[1:]] if password else []  # noqa: SLF001 -- as it is sent
    return headers, auth, tuple(sorted((one for one in secrets if len(one) >= _SCRUBBED), key=len, reverse=True))


def _secret(path: str) -> str:
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(SECRET_BYTES + 1)
    except OSError as error:
        raise TroubleError(Kind.CREDENTIALS, plain(f"{path}: {error.strerror}", REASON_LENGTH)) from None
    text = content.decode("ascii", "replace").strip()
    if not text or len(content) > SECRET_BYTES or not text.isprintable() or not text.isascii():
        raise TroubleError(Kind.CREDENTIALS, plain(f"{path}: expected one line of text", REASON_LENGTH))
    return text


def trust(server: Server) -> ssl.SSLContext:
    """Return the TLS settings. Raises TroubleError when a certificate cannot be used."""
    try:
        context = ssl.create_default_context(cafile=server.ca_file) if server.ca_file else httpx2.create_ssl_context()
        if server.skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if server.cert_file:
            context.load_cert_chain(server.cert_file, server.key_file or None, password=_no_password)
    except (OSError, ssl.SSLError) as error:  # ssl.SSLError is one, named for the reader
        reason = (error.reason or "no certificate in PEM") if isinstance(error, ssl.SSLError) else error.strerror
        raise TroubleError(Kind.CREDENTIALS, plain(f"TLS files: {reason}", REASON_LENGTH)) from None
    return context


def _no_password() -> str:
    return ""  # OpenSSL would otherwise ask on the terminal
