"""Requests made from the OpenAPI description, right ones and wrong ones, against the real application over HTTP.

    PYTHONPATH=plugin python -m tests.evals.schemathesis_run --minutes 10

Prints what was answered and every failure: a 5xx, a status or content type that is not documented, an answer that is
not of its schema. The analyses behind the door are those of the tests, in memory; some fail on purpose.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode

from rollout_verdict.service.app import create_app, describe
from tests.service.conftest import bearer, make_services, served

# Not the checks for what the description forbids and the service takes: keys that a newer plugin may send are ignored on
# purpose. The tests of the routes say what is refused.
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
IDS = ("0" * 31 + "1", "0" * 31 + "2", "0" * 31 + "3", "0" * 31 + "4")
NAMES = ("healthy", "new-errors", "running", "gone")
CALLERS = ("admin", "admin", "admin", "run", "read", "foreign", "expired", "")
TIMEOUT_S = 30
FAST = {"agent_wait_s": 0.02, "stream_s": 0.02, "watchers": 50}
LIMITLESS = {"reads_per_minute": 10**8, "starts_per_minute": 10**8, "failures_per_minute": 10**8}


class Tally:
    """What was answered, and what should not have been."""

    def __init__(self):
        self.statuses = Counter()
        self.failures = {}

    def failed(self, operation, error):
        for one in error.exceptions if isinstance(error, FailureGroup) else [error]:
            text = " ".join(str(one).split())[:400]
            self.failures.setdefault(f"{operation}: {type(one).__name__}", text)


def strategies(address, tree):
    """Every operation with the requests that fit it, and those that do not."""
    schema = schemathesis.openapi.from_dict(tree)
    schema.config.update(base_url=address)
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            yield f"{operation.method.upper()} {operation.path}", operation.as_strategy(generation_mode=mode)


def attack(name, strategy, session, tally, *, examples, seed):
    @seeded(seed)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=strategy, who=st.sampled_from(CALLERS), known=st.sampled_from([*IDS, None, None]))
    def once(case, who, known):
        for key in ("analysis_id", "measurement_id", "other_id"):
            if known and case.path_parameters and key in case.path_parameters:
                case.path_parameters[key] = known
        headers = bearer(who) if who else {}
        try:
            answer = case.call(session=session, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
        except (requests.exceptions.InvalidHeader, UnicodeEncodeError, requests.exceptions.InvalidURL):
            return  # what cannot be sent at all
        tally.statuses[f"{name} {answer.status_code}"] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except (FailureGroup, AssertionError) as error:
            tally.failed(name, error)

    try:
        once()
    except Exception as error:  # noqa: BLE001 -- a description that cannot be attacked is a failure, too
        if "Unsatisfiable" not in type(error).__name__:
            tally.failed(name, error)


def run(seconds, *, examples=20, seed=0, out=sys.stdout):
    """Attack until time is up, each operation once at least; returns the tally."""
    tally, began, round_ = Tally(), time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        services = make_services(Path(folder), **FAST, **LIMITLESS)
        tree = describe(create_app(services))
        with served(services) as address, requests.Session() as session:
            for analysis_id, name in zip(IDS, NAMES, strict=True):
                body = {"id": analysis_id, "config": {}, "analysisRun": {"namespace": "shop", "name": "run"}}
                body["analysisRun"]["owner"] = {"kind": "Rollout", "name": name}
                session.post(f"{address}/v1/measurements", json=body, headers=bearer("run"), timeout=TIMEOUT_S)
            found = list(strategies(address, tree))
            while round_ == 0 or time.monotonic() - began < seconds:
                for name, strategy in found:
                    if round_ and time.monotonic() - began >= seconds:
                        break
                    attack(name, strategy, session, tally, examples=examples, seed=seed + round_)
                round_ += 1
    out.write(
        f"{sum(tally.statuses.values())} requests to {len(found) // 2} operations in {round_} rounds, seed {seed}\n"
    )
    return tally


def main():
    parser = argparse.ArgumentParser(description="requests from the OpenAPI description")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--examples", type=int, default=20)
    given_ = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given_.seed is None else given_.seed
    tally = run(given_.minutes * 60, examples=given_.examples, seed=seed)
    by_status = Counter()
    for name, count in tally.statuses.items():
        by_status[name.rpartition(" ")[2]] += count
    for status, count in sorted(by_status.items()):
        print(f"  {status}: {count}")
    for name, text in sorted(tally.failures.items()):
        print(f"FAILED {name}\n  {text}")
    print(f"{len(tally.failures)} failures")
    sys.exit(1 if tally.failures else 0)


if __name__ == "__main__":
    main()
