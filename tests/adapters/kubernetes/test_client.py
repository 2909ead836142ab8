"""Requests and their troubles: what is tried again, what is not, and what a person is told."""

import ssl
import time

import pytest
import urllib3.exceptions as http
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.adapters.kubernetes import Patience
from rollout_verdict.adapters.kubernetes.search import KINDS
from rollout_verdict.adapters.kubernetes.sides import PODS
from rollout_verdict.adapters.kubernetes.trouble import (
    QUOTED,
    Access,
    ApiError,
    Resource,
    one_line,
    refused,
    unreached,
)
from rollout_verdict.core.target import TargetKind
from rollout_verdict.core.values import SourceKind
from tests.fakes.kubernetes import Fault, scenarios, status
from tests.fakes.kubernetes.faults import ANSWERS

LIST = Access(resource=PODS, namespace="shop")
SECRET = "s3cr3t-t0ken-of-ours"


def listed(world, access=LIST, query=()):
    return world.adapter._api.listed(access, query, end=time.monotonic() + 20)


def failure(world, fault):
    world.cluster.faults.append(fault)
    with pytest.raises(ApiError) as caught:
        listed(world)
    return caught.value


@pytest.mark.parametrize("answer", ["429", "500", "503", "504"])
def test_what_may_pass_is_tried_again(world, answer):
    scenarios.canary(world.cluster, world.place)
    world.cluster.faults.append(Fault(answer=ANSWERS[answer], times=2))
    found, whole = listed(world)
    assert (len(found), whole, len(world.waits)) == (5, True, 2)


@pytest.mark.parametrize(
    ("answer", "told", "attempts"),
    [
        ("401", "does not know who we are (401)", 1),
        ("403", "may not list pods in namespace shop", 1),
        ("404", "not found (404)", 1),
        ("429", "asked us to wait (429)", 4),
        ("500", "failed (500) to list pods in namespace shop", 4),
        ("503", "failed (503)", 4),
        ("html", "no Kubernetes object", 1),
        ("not json", "no Kubernetes object", 1),
    ],
)
def test_what_does_not_pass_is_told(world, answer, told, attempts):
    error = failure(world, Fault(answer=ANSWERS[answer]))
    assert told in error.reason
    assert error.hint
    assert len(world.cluster.journal) == attempts


def test_a_list_of_another_shape_is_an_error_and_not_an_empty_list(world):
    assert failure(world, Fault(answer=ANSWERS["wrong shape"])).reason == "the answer is no list of objects"


def test_retry_after_is_honoured_within_bounds(served):
    world = served(patience=Patience(read_s=2.0, wait_s=0.01, longest_wait_s=3.0))
    world.cluster.faults += [Fault(answer=status.too_many(2), times=1), Fault(answer=status.too_many(900), times=1)]
    listed(world)
    assert world.waits == [2.0, 3.0]


def test_no_attempt_is_made_that_would_come_too_late(served):
    world = served(patience=Patience(longest_wait_s=60.0))
    world.cluster.faults.append(Fault(answer=status.too_many(30)))
    with pytest.raises(ApiError, match="wait"):
        world.adapter._api.listed(LIST, end=time.monotonic() + 15)
    assert len(world.cluster.journal) == 1


def test_one_request_does_not_take_the_time_of_the_others(served):
    world = served(patience=Patience(read_s=2.0, operation_s=2.5))
    scenarios.canary(world.cluster, world.place)
    world.cluster.faults.append(Fault(resource="replicasets.apps", share=0.0, then="hang"))
    began = time.monotonic()
    sides = world.find()
    assert time.monotonic() - began < 10  # of 20
    assert (len(sides.scope.pods.stable), len(sides.scope.pods.canary)) == (3, 2)
    assert any("ReplicaSets" in gap.what for gap in sides.gaps)


def test_with_no_time_left_nothing_is_asked(world):
    with pytest.raises(ApiError, match="no time left"):
        world.adapter._api.get(Access(resource=PODS, namespace="shop", name="x"), end=time.monotonic() - 1)
    assert world.cluster.journal == []


@pytest.mark.parametrize("then", ["reset", "close"])
def test_a_connection_that_breaks_in_the_answer_is_tried_again(world, then):
    scenarios.canary(world.cluster, world.place)
    world.cluster.faults.append(Fault(share=0.5, then=then, times=1))
    assert len(listed(world)[0]) == 5


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_an_answer_that_hangs_ends_at_its_deadline(served, share):
    world = served(patience=Patience(read_s=0.2, attempts=1))
    scenarios.canary(world.cluster, world.place)
    error = failure(world, Fault(share=share, then="hang"))
    assert error.reason == "the API server took too long to answer"


def test_an_answer_that_trickles_ends_at_the_deadline(world):
    scenarios.canary(world.cluster, world.place)
    world.cluster.faults.append(Fault(pause_s=0.5))
    with pytest.raises(ApiError, match="not complete at the deadline"):
        world.adapter._api.listed(LIST, end=time.monotonic() + 1.6)


def test_a_long_list_comes_in_pages(served):
    world = served(patience=Patience(page=2))
    scenarios.canary(world.cluster, world.place)
    found, whole = listed(world)
    assert (len(found), whole, len(world.cluster.asked("pods"))) == (5, True, 3)


def test_a_list_beyond_the_bound_is_cut_and_says_so(served):
    world = served(patience=Patience(page=2, objects=3))
    scenarios.canary(world.cluster, world.place)
    found, whole = listed(world)
    assert (len(found), whole) == (3, False)


def test_a_list_too_old_to_be_continued_is_begun_again_once(served):
    world = served(patience=Patience(page=2))
    scenarios.canary(world.cluster, world.place)
    first = listed(world)[0]
    world.cluster.faults.append(Fault(answer=ANSWERS["410"], times=1))
    assert listed(world)[0] == first
    error = failure(world, Fault(answer=ANSWERS["410"]))
    assert "too old" in error.reason


def test_a_document_beyond_the_bound_is_not_read(served):
    world = served(patience=Patience(document=1_000))
    scenarios.canary(world.cluster, world.place)
    with pytest.raises(ApiError, match="was not read"):
        listed(world)


def test_nobody_there_is_told_without_a_token(served):
    world = served(token=SECRET, server="http://127.0.0.1:9")
    with pytest.raises(ApiError) as caught:
        listed(world)
    assert caught.value.reason == "no connection to the API server: connection refused"
    assert caught.value.hint == "check the address in the kubeconfig, and that the API server runs"


def test_a_name_that_dns_does_not_know(served):
    world = served(server="http://no-such-host.invalid:6443")
    with pytest.raises(ApiError, match="not known to DNS"):
        listed(world)


def test_a_server_that_speaks_no_tls(served):
    world = served(patience=Patience(attempts=1))
    secure = served(server=world.url.replace("http:", "https:"))
    with pytest.raises(ApiError, match="no TLS connection"):
        listed(secure)


def test_the_token_is_in_no_text(served):
    world = served(token=SECRET)
    world.cluster.tokens["another"] = "someone"
    with pytest.raises(ApiError) as caught:
        listed(world)
    gap = caught.value.gap(SourceKind.KUBERNETES, "pods")
    assert "401" in gap.reason
    assert SECRET not in repr((gap, str(caught.value), caught.value.__cause__, caught.value.__context__))


def test_a_redirect_is_not_followed(world):
    world.cluster.faults.append(
        Fault(answer=status.Refusal(code=302, body={}, headers={"Location": "http://127.0.0.1:9/elsewhere"}))
    )
    with pytest.raises(ApiError, match="sends us elsewhere"):
        listed(world)


@pytest.mark.parametrize(
    ("access", "command"),
    [
        (LIST, "kubectl auth can-i list pods -n shop --as=me"),
        (
            Access(resource=Resource(plural="pods", sub="log"), namespace="shop", name="x"),
            "kubectl auth can-i get pods --subresource=log -n shop --as=me",
        ),
        (
            Access(resource=KINDS[TargetKind.ROLLOUT], namespace="shop", name="x"),
            "kubectl auth can-i get rollouts.argoproj.io -n shop --as=me",
        ),
    ],
)
def test_the_command_that_checks_a_right(access, command):
    assert access.check("me") == command


def test_a_user_name_cannot_break_out_of_the_command():
    assert LIST.check("me; rm -rf /").endswith(" '--as=me; rm -rf /'")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ssl.SSLCertVerificationError(1, "x"), "certificate is not trusted"),
        (http.SSLError(ssl.SSLError(1, "x")), "no TLS connection"),
        (http.ConnectTimeoutError("x"), "does not answer"),
        (http.ReadTimeoutError(None, "/", "x"), "took too long"),
        (http.ProtocolError("x", ConnectionResetError()), "broke"),
        (RuntimeError(SECRET), "could not be made (RuntimeError)"),
    ],
)
def test_each_kind_of_break_is_told_in_our_words(error, told):
    found = unreached(error)
    assert told in found.reason
    assert SECRET not in found.reason + found.hint


@given(st.integers(300, 599), st.text(), st.text(max_size=30))
def test_any_refusal_is_one_bounded_line(code, message, user):
    error = refused(LIST, code, message, user, 0.0)
    assert str(code) in error.reason
    assert "\n" not in error.reason.replace(user, "")
    assert len(error.reason) < 3 * QUOTED


@given(st.text())
def test_foreign_text_becomes_one_line_that_can_be_printed(text):
    line = one_line(text)
    assert len(line) <= QUOTED
    assert line.isprintable() or not line
