"""Kubernetes' own tokens, checked by TokenReview at a stand-in for the API server, over real HTTP."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rollout_verdict.service.problems import UnavailableError
from rollout_verdict.service.review import MOST_REMEMBERED, REMEMBERED_S, TokenReviewer, reviewer_in_cluster
from tests.fakes.kubernetes import Cluster, Stub
from tests.service.conftest import FILE, make_client, make_services

JWT = "header.claims.signature"
ACCOUNTS = '\n[[serviceaccount]]\nname = "argo/rollouts"\nscope = "run"\nnamespaces = ["shop"]\n'


class Monotonic:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def cluster():
    cluster = Cluster()
    cluster.tokens = {
        "own": "system:serviceaccount:verdict:service",
        JWT: "system:serviceaccount:argo:rollouts",
        "a.person.token": "kubernetes-admin",
        "not.listed.here": "system:serviceaccount:argo:other",
    }
    return cluster


@pytest.fixture
def stub(cluster):
    with Stub(cluster) as found:
        yield found


@pytest.fixture
def reviewer(stub):
    found = TokenReviewer(stub.url, lambda: "own", monotonic=Monotonic())
    yield found
    found.close()


def test_a_token_is_its_service_accounts(reviewer):
    assert reviewer.review(JWT) == "argo/rollouts"
    assert reviewer.review("un.known.token") is None
    assert reviewer.review("a.person.token") is None, "people have tokens of the token file"


def test_an_answer_is_remembered_for_a_minute(reviewer, cluster):
    assert reviewer.review(JWT) == "argo/rollouts"
    del cluster.tokens[JWT]
    reviewer._monotonic.now = REMEMBERED_S - 1
    assert reviewer.review(JWT) == "argo/rollouts"
    reviewer._monotonic.now = REMEMBERED_S + 1
    assert reviewer.review(JWT) is None


def test_a_token_that_was_good_is_remembered_as_such_however_long(reviewer):
    assert not reviewer.remembers(JWT)
    assert reviewer.review(JWT) == "argo/rollouts"
    assert reviewer.review("un.known.token") is None
    reviewer._monotonic.now = REMEMBERED_S + 1
    assert (reviewer.remembers(JWT), reviewer.remembers("un.known.token")) == (True, False)


def test_no_more_is_remembered_than_there_is_room_for(reviewer):
    reviewer._asked = lambda token: "argo/rollouts"
    for number in range(MOST_REMEMBERED + 5):
        reviewer.review(f"a.b.{number}")
    assert len(reviewer._known) == MOST_REMEMBERED


def test_who_may_not_ask_or_cannot_is_unavailable(stub):
    refused = TokenReviewer(stub.url, lambda: "wrong")
    with pytest.raises(UnavailableError):
        refused.review(JWT)
    refused.close()
    gone = TokenReviewer("http://127.0.0.1:1", lambda: "own")
    with pytest.raises(UnavailableError) as caught:
        gone.review(JWT)
    assert JWT not in str(caught.value)
    gone.close()


def answering(status):
    """An API server with one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            Handler.asked = json.loads(body)
            content = json.dumps(status).encode()
            self.send_response(201)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler


USER = {"username": "system:serviceaccount:argo:rollouts"}


@pytest.mark.parametrize(
    ("status", "account"),
    [
        ({"authenticated": True, "user": USER, "audiences": ["verdict"]}, "argo/rollouts"),
        ({"authenticated": True, "user": USER, "audiences": ["other"]}, None),
        ({"authenticated": True, "user": USER}, None),
        ({"authenticated": "true", "user": USER, "audiences": ["verdict"]}, None),
        ({"user": USER, "audiences": ["verdict"]}, None),
        ({"authenticated": True, "user": "x", "audiences": ["verdict"]}, None),
        ({"authenticated": True, "user": {"username": 1}, "audiences": ["verdict"]}, None),
    ],
)
def test_with_an_audience_a_token_must_be_meant_for_us(status, account):
    handler = answering({"status": status})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    reviewer = TokenReviewer(f"http://127.0.0.1:{server.server_port}", lambda: "own", audiences=("verdict",))
    assert reviewer.review(JWT) == account
    assert handler.asked["spec"] == {"token": JWT, "audiences": ["verdict"]}
    reviewer.close()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("answer", [[], {"status": 1}, {"status": []}, "x"])
def test_an_answer_that_makes_no_sense_lets_nobody_in(answer):
    server = ThreadingHTTPServer(("127.0.0.1", 0), answering(answer))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    reviewer = TokenReviewer(f"http://127.0.0.1:{server.server_port}", lambda: "own")
    with pytest.raises(UnavailableError):
        reviewer.review(JWT)
    reviewer.close()
    server.shutdown()
    server.server_close()


# At the door


@pytest.fixture
def client(tmp_path, reviewer):
    (tmp_path / "tokens.toml").write_text(FILE + ACCOUNTS)
    with make_client(make_services(tmp_path, reviewer=reviewer, failures_per_minute=3), "") as found:
        yield found


def ask(client, token, method="GET", **options):
    return client.request(method, "/v1/about", headers={"authorization": f"Bearer {token}"}, **options)


def test_wrong_tokens_from_the_same_address_lock_no_service_account_out(client, reviewer):
    assert ask(client, JWT).status_code == 200
    assert [ask(client, f"wrong{number}").status_code for number in range(3)] == [401, 401, 429]
    reviewer._monotonic.now = REMEMBERED_S + 1
    assert ask(client, JWT).status_code == 200
    assert ask(client, "not.seen.before").status_code == 429


def test_a_service_account_that_is_listed_is_let_in(client):
    assert ask(client, JWT).status_code == 200
    bearer = {"authorization": f"Bearer {JWT}"}
    for namespace, status in (("shop", 201), ("elsewhere", 403)):
        body = {"namespace": namespace, "name": "healthy"}
        assert client.post("/v1/analyses", json=body, headers=bearer).status_code == status


def test_one_that_is_not_listed_is_told_so(client):
    answer = ask(client, "not.listed.here")
    assert (answer.status_code, "argo/other has no access" in answer.json()["message"]) == (403, True)


def test_too_many_wrong_ones_are_not_asked_about(client, reviewer):
    assert [ask(client, f"wrong.token.{n}").status_code for n in range(4)] == [401, 401, 401, 429]
    assert len(reviewer._known) == 3
    assert ask(client, JWT).status_code == 429, "until the minute is over: it would cost Kubernetes a review"


def test_kubernetes_that_does_not_answer_is_no_door(tmp_path):
    (tmp_path / "tokens.toml").write_text(FILE + ACCOUNTS)
    gone = TokenReviewer("http://127.0.0.1:1", lambda: "own")
    with make_client(make_services(tmp_path, reviewer=gone), "") as client:
        assert ask(client, JWT).status_code == 503
        assert ask(client, "no-jwt-at-all").status_code == 401
    gone.close()


def test_an_answer_that_does_not_come_counts_as_a_wrong_token(tmp_path):
    """Else whoever makes tokens up could have Kubernetes asked as often as they like while it is in trouble."""
    (tmp_path / "tokens.toml").write_text(FILE + ACCOUNTS)
    gone = TokenReviewer("http://127.0.0.1:1", lambda: "own")
    with make_client(make_services(tmp_path, reviewer=gone, failures_per_minute=2), "") as client:
        assert [ask(client, f"made.up.{number}").status_code for number in range(3)] == [503, 503, 429]
    gone.close()


def test_the_form_asks_kubernetes_nothing(client, reviewer):
    """The answer would hold up everybody, and a service account has no session anyway."""
    statuses = [
        client.post("/login", content=f"token={JWT}{number}", headers={"sec-fetch-site": "same-origin"}).status_code
        for number in range(4)
    ]
    assert statuses == [401, 401, 401, 429]
    assert not reviewer._known


# In a cluster


def test_outside_of_a_cluster_nobody_is_asked(tmp_path):
    assert reviewer_in_cluster({}, tmp_path) is None
    assert reviewer_in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path) is None
