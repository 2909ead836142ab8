"""Whose token it is, as Kubernetes says: TokenReview, remembered for a short while.

Source: Kubernetes API reference, authentication.k8s.io/v1 TokenReview. Creating one needs ``create`` on
``tokenreviews``, which the ClusterRole ``system:auth-delegator`` has.
"""

import logging
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

import httpx2

from rollout_verdict.service.problems import UnavailableError
from rollout_verdict.service.tokens import digest_of

_LOG = logging.getLogger(__name__)

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
REMEMBERED_S = 60.0  # how long a token that was withdrawn may still be taken, and a wrong one is not asked about again
MOST_REMEMBERED = 1_000
TIMEOUT_S = 5.0
_PREFIX = "system:serviceaccount:"


class TokenReviewer:
    """Asks the API server at ``base``. Safe to use from many threads.

    ``own_token`` is read for each question, since it rotates. ``audiences`` empty means the API server's own.
    """

    def __init__(
        self,
        base: str,
        own_token: Callable[[], str],
        *,
        audiences: tuple[str, ...] = (),
        verify: ssl.SSLContext | bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = f"{base}/apis/authentication.k8s.io/v1/tokenreviews"
        self._own_token = own_token
        self._audiences = audiences
        self._client = httpx2.Client(verify=verify, timeout=TIMEOUT_S, trust_env=False)
        self._monotonic = monotonic
        self._known: OrderedDict[str, tuple[str | None, float]] = OrderedDict()
        self._lock = Lock()

    def review(self, token: str) -> str | None:
        """Return NAMESPACE/NAME of the token's service account, None when it is none's. Raises UnavailableError."""
        key, now = digest_of(token), self._monotonic()
        with self._lock:
            account, until = self._known.get(key, (None, 0.0))
        if now < until:
            return account
        account = self._asked(token)
        with self._lock:
            self._known[key] = (account, now + REMEMBERED_S)
            self._known.move_to_end(key)
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return account

    def remembers(self, token: str) -> bool:
        """Whether the token was a service account's when it was last asked about, however long ago."""
        with self._lock:
            account, _ = self._known.get(digest_of(token), (None, 0.0))
        return account is not None

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _asked(self, token: str) -> str | None:
        spec = {"token": token, **({"audiences": list(self._audiences)} if self._audiences else {})}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        try:
            headers = {"Authorization": f"Bearer {self._own_token()}"}
            answer = self._client.post(self._url, json=body, headers=headers)
            status = answer.json().get("status", {}) if answer.is_success else None
        except (httpx2.HTTPError, OSError, ValueError, AttributeError) as error:
            _LOG.warning("TokenReview failed: %s", type(error).__name__)
            raise UnavailableError("Kubernetes cannot be asked whose token this is") from None
        if not isinstance(status, dict):
            _LOG.warning("TokenReview was answered with status %s", answer.status_code)
            raise UnavailableError("Kubernetes does not say whose token this is; the service may lack the right to ask")
        user = status.get("user")
        name = user.get("username") if status.get("authenticated") is True and isinstance(user, dict) else None
        if not isinstance(name, str) or not name.startswith(_PREFIX) or not self._meant(status):
            return None
        return name.removeprefix(_PREFIX).replace(":", "/", 1)

    def _meant(self, status: Mapping[str, object]) -> bool:
        """Whether the token is for us: with audiences asked for, one of them must be confirmed."""
        confirmed = status.get("audiences")
        return not self._audiences or (isinstance(confirmed, list) and any(one in self._audiences for one in confirmed))


def reviewer_in_cluster(environment: Mapping[str, str], folder: Path = FOLDER) -> TokenReviewer | None:
    """Return the reviewer of the cluster that this process runs in, None outside of one."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (folder / "token").is_file():
        return None
    host = f"[{host}]" if ":" in host else host
    audiences = tuple(one.strip() for one in environment.get("ROLLOUT_VERDICT_AUDIENCES", "").split(",") if one.strip())
    return TokenReviewer(
        f"https://{host}:{port}",
        lambda: (folder / "token").read_text().strip(),
        audiences=audiences,
        verify=ssl.create_default_context(cafile=str(folder / "ca.crt")),
    )
