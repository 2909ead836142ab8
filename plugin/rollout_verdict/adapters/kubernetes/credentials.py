"""The credential plugin of a kubeconfig: a program that prints a token or a certificate.

The client library waits for it without end, when it connects and again within a request whenever the token has expired,
and writes what a failed one printed to the log. Here the wait has a deadline and the output a bound, and neither the
plugin's arguments nor its output, which may hold secrets, are told.
"""

# The library's functions have no types.
# mypy: disable-error-code="no-untyped-call"

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from threading import Lock
from typing import Any

from kubernetes.config.dateutil import parse_rfc3339
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import FileOrData, KubeConfigLoader

from rollout_verdict.adapters.kubernetes.trouble import ApiError, one_line

OUTPUT = 1 << 20  # bytes; a token has a few thousand, a certificate with its key some ten thousand
_HINT = "see why, and log in where it wants you to: kubectl get namespaces"


class Loader(KubeConfigLoader):
    """A kubeconfig whose plugin gets ``plugin_s`` seconds; ApiError where it does not answer."""

    def __init__(self, config: Any, context: str, *, plugin_s: float) -> None:
        self._plugin_s = plugin_s
        self._plugin_lock, self._runs = Lock(), 0
        self._outcome: dict[str, str] | ApiError = {}  # of the last run
        super().__init__(config_dict=config, active_context=context or None, config_base_path=None)

    def _load_from_exec_plugin(self) -> bool:
        user: Any = self._user
        cluster: Any = self._cluster
        if "exec" not in user:
            return False
        status = self._answer(_Plugin(user["exec"], self._get_base_path(cluster.path), cluster, self._plugin_s))
        if "token" in status:
            self.token = f"Bearer {status['token']}"
        else:
            self.cert_file, self.key_file = (
                FileOrData(status, None, data_key_name=name, base64_file_content=False).as_file()
                for name in ("clientCertificateData", "clientKeyData")
            )
        if "expirationTimestamp" in status:
            self.expiry = parse_rfc3339(status["expirationTimestamp"])
        return True

    def _answer(self, plugin: "_Plugin") -> dict[str, str]:
        """Return what the plugin says; requests at the same time wait for one run of it, and share what came of it."""
        before = self._runs
        with self._plugin_lock:
            if self._runs == before:
                try:
                    self._outcome = plugin.run()
                except ApiError as error:
                    self._outcome = error
                self._runs += 1
            outcome = self._outcome
        if isinstance(outcome, ApiError):
            raise ApiError(outcome.reason, outcome.hint)
        return outcome


class _Plugin(ExecProvider):
    def __init__(self, told: Any, folder: str, cluster: Any, deadline_s: float) -> None:
        super().__init__(told, folder, cluster)
        self._deadline_s = deadline_s
        self._name = one_line(str(self.args[0]))
        # As for kubectl a person can answer where there is a terminal; nor is one asked while completing a word.
        terminal = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))
        self._asks = terminal and told.safe_get("interactiveMode") != "Never"

    def run(self, previous_response: object = None) -> dict[str, str]:
        """Return the status of the ExecCredential that the plugin prints. Raises ApiError."""
        del previous_response
        end = time.monotonic() + self._deadline_s
        try:
            process = subprocess.Popen(  # noqa: S603 -- the operator's own kubeconfig names it
                self.args,
                stdin=None if self._asks else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if self._asks else subprocess.DEVNULL,
                cwd=self.cwd,
                env={**self.env, "KUBERNETES_EXEC_INFO": json.dumps(self._request())},
                start_new_session=not self._asks,  # one that asks needs the terminal of our session
            )
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise self._trouble(f"cannot be run ({why})") from None
        try:
            output = self._output(process, end)
            code = process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._trouble(f"did not answer within {self._deadline_s:g} s") from None
        finally:
            self._end(process)
        if code:
            raise self._trouble(f"ended with code {code}")
        return self._status(output)

    def _request(self) -> dict[str, Any]:
        spec: dict[str, Any] = {"interactive": self._asks}
        if self.cluster:
            named = self.cluster.value.get("extensions") or ()
            own = [one["extension"] for one in named if one["name"] == "client.authentication.k8s.io/exec"]
            spec["cluster"] = {**self.cluster.value, **({"config": own[0]} if own else {})}
        return {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}

    def _output(self, process: "subprocess.Popen[bytes]", end: float) -> bytes:
        """Return what the plugin prints until it closes its output. Raises TimeoutExpired, ApiError."""
        assert process.stdout is not None  # noqa: S101 -- it was asked for
        output = b""
        with selectors.DefaultSelector() as ready:
            ready.register(process.stdout, selectors.EVENT_READ)
            while ready.select(max(0.0, end - time.monotonic())):
                part = os.read(process.stdout.fileno(), 65_536)
                if not part:
                    return output
                output += part
                if len(output) > OUTPUT:
                    raise self._trouble(f"printed more than {OUTPUT >> 20} MiB")
        raise subprocess.TimeoutExpired(self._name, self._deadline_s)

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """End what still runs, with the programs that it started where they are a group of their own."""
        with suppress(ProcessLookupError, PermissionError):
            if not self._asks:
                os.killpg(process.pid, signal.SIGKILL)
            elif process.poll() is None:
                process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        if process.stdout is not None:
            process.stdout.close()

    def _status(self, output: bytes) -> dict[str, str]:
        try:
            said = json.loads(output)
            version, kind, status = said["apiVersion"], said["kind"], said["status"]
            parse_rfc3339(status.get("expirationTimestamp", "1970-01-01T00:00:00Z"))
            told = {name: text for name, text in status.items() if isinstance(text, str)}
        except Exception:  # noqa: BLE001 -- whatever is wrong with it, it is no credential, and not to be quoted
            raise self._trouble("printed no ExecCredential") from None
        if kind != "ExecCredential" or version != self.api_version:
            raise self._trouble("printed no ExecCredential of the version that the kubeconfig names")
        if "token" not in told and not {"clientCertificateData", "clientKeyData"} <= told.keys():
            raise self._trouble("printed neither a token nor a certificate with its key")
        return told

    def _trouble(self, what: str) -> ApiError:
        return ApiError(f"the credential plugin {self._name} of the kubeconfig {what}", _HINT)
