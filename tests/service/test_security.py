"""The door: headers, bounds, rates, sessions, and what is never told."""

import asyncio
import base64
import html
import re
from urllib.parse import unquote, urlencode

import pytest

from rollout_verdict.service.app import create_app
from rollout_verdict.service.auth import COOKIE
from rollout_verdict.service.middleware import POLICY, BodyLimit
from rollout_verdict.service.tokens import digest_of
from tests.service.conftest import TOKENS, bearer, make_client, make_services

SAME = {"sec-fetch-site": "same-origin"}
START = {"namespace": "shop", "name": "healthy"}


# Headers


@pytest.mark.parametrize("path", ["/healthz", "/v1/about", "/v1/analyses", "/nowhere", "/metrics"])
def test_every_answer_carries_the_headers_that_keep_browsers_safe(client, path):
    headers = client.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"


def test_what_is_not_there_is_told_as_everything_else(client):
    for method, path, status in (("GET", "/nowhere", 404), ("PUT", "/v1/about", 405)):
        answer = client.request(method, path)
        assert (answer.status_code, list(answer.json())) == (status, ["message"])


def test_what_breaks_inside_is_told_without_its_text(services, caplog):
    def broken(_):
        raise RuntimeError("the password is hunter2")

    services.analyses.find = broken
    with make_client(services, raise_server_exceptions=False) as client:
        answer = client.get("/v1/analyses")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "RuntimeError" in caplog.text


# Bounds


def test_a_body_that_says_it_is_too_large_is_not_read(tmp_path):
    with make_client(make_services(tmp_path, body_bytes=1000)) as client:
        answer = client.post("/v1/analyses", json={**START, "config": {"extraPrompt": "x" * 1000}})
    assert (answer.status_code, answer.json()["message"]) == (413, "the body is larger than 1000 bytes")


def test_a_body_that_turns_out_too_large_is_cut_off(tmp_path):
    with make_client(make_services(tmp_path, body_bytes=1000)) as client:
        for path in ("/v1/analyses", "/v1/measurements", "/v1/analyses:poll", "/a2a/analyze", "/login"):
            parts = (b"x" * 100 for _ in range(20))
            answer = client.post(path, content=parts, headers={"content-type": "application/json", **SAME})
            assert answer.status_code == 413, path


def test_an_upload_has_a_bound_of_its_own(tmp_path):
    with make_client(make_services(tmp_path, body_bytes=10, upload_bytes=1 << 20)) as client:
        headers = {"content-type": "application/gzip"}
        assert client.post("/v1/analyses", content=b"x" * 1000, headers=headers).status_code == 422
        answer = client.post("/v1/analyses", content=b"x" * ((1 << 20) + 1), headers=headers)
        assert (answer.status_code, answer.json()["message"]) == (413, "the body is larger than 1 MiB")
        form = client.post("/v1/analyses", files={"bundle": ("a", b"x" * (1 << 20))})
        assert form.status_code == 413


def test_only_where_bundles_are_taken_may_a_body_be_as_large(tmp_path):
    """Other routes read a body before they know who sends it: naming another content type must not let more in."""
    with make_client(make_services(tmp_path, body_bytes=1000), who="") as client:
        for path in ("/v1/measurements", "/v1/marks", "/a2a/analyze", "/login", "/analyses/start"):
            for kind in ("application/octet-stream", "multipart/form-data; boundary=x"):
                answer = client.post(path, content=b"x" * 2000, headers={"content-type": kind, **SAME})
                refused = (413,) if kind.startswith("multi") or path != "/analyses/start" else (401,)  # not read at all
                assert answer.status_code in refused, (path, kind)


def test_a_body_that_does_not_come_ends(tmp_path):
    """Over the application's own interface: a client that stalls is awkward to have otherwise."""
    assert stalled(make_services(tmp_path, upload_timeout_s=0.02), "/v1/analyses:poll") == 408


def test_who_finds_no_place_for_an_upload_is_told_to_come_back(tmp_path):
    """Others hold all of them: waiting has an end, too, and begins before the body is read."""
    assert stalled(make_services(tmp_path, uploads=0, upload_timeout_s=0.02), "/v1/analyses") == 503


def test_the_time_for_a_body_begins_when_it_is_asked_for(tmp_path):
    """Whoever waited for a place is not told that its own body came too late."""

    async def slow(scope, receive, send):
        await asyncio.sleep(0.2)
        assert (await receive())["body"] == b"x"

    async def receive():
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x"}

    limited = BodyLimit(slow, make_services(tmp_path, upload_timeout_s=0.1).settings)
    asyncio.run(limited({"type": "http", "path": "/v1/analyses", "headers": []}, receive, None))


def stalled(services, path):
    """Send the head of a request and never its body; return the status."""
    app = create_app(services)
    sent = []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": b"", "query_string": b"",
        "headers": [
            (b"authorization", f"Bearer {TOKENS['run']}".encode()), (b"content-type", b"application/gzip"),
        ],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "scheme": "http", "root_path": "",
        "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    asyncio.run(asyncio.wait_for(app(scope, receive, send), 30))
    return sent[0]["status"]


def test_who_asks_too_often_waits(tmp_path):
    services = make_services(tmp_path, starts_per_minute=2, reads_per_minute=3)
    with make_client(services) as client:
        statuses = [client.post("/v1/analyses", json=START).status_code for _ in range(3)]
        assert statuses == [201, 201, 429]
        answer = client.post("/v1/analyses", json=START)
        assert answer.headers["retry-after"] == "60"
        assert client.post("/v1/analyses", json=START, headers=bearer("admin")).status_code == 201
        assert [client.get("/v1/about").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_too_many_wrong_tokens_are_not_looked_at(tmp_path):
    with make_client(make_services(tmp_path, failures_per_minute=2), "wrong") as client:
        assert [client.get("/v1/about").status_code for _ in range(3)] == [401, 401, 429]
        assert client.get("/v1/about", headers=bearer("read")).status_code == 200, "who has a token is let in"


# Tokens as they come


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"bearer {TOKENS['read']}", 200),
        (f"Basic {base64.b64encode(b'argo:' + TOKENS['read'].encode()).decode()}", 200),
        ("Basic !!!", 401),
        ("Basic //4=", 401),
        ("Bearer ", 401),
        (TOKENS["read"], 401),
        (f"Digest {TOKENS['read']}", 401),
        ("Bearer " + "x" * 100_000, 401),
    ],
)
def test_a_token_comes_as_bearer_or_as_a_password(services, header, status):
    with make_client(services, "") as client:
        answer = client.get("/v1/about", headers={"authorization": header})
    assert answer.status_code == status
    assert status == 200 or answer.headers["www-authenticate"].startswith("Bearer")


def test_tokens_are_told_without_tokens(client):
    answer = client.get("/v1/tokens", headers=bearer("admin"))
    assert [one["name"] for one in answer.json()["tokens"]][:2] == ["viewer", "argo"]
    assert not any(token in answer.text for token in TOKENS.values())


# Sessions


@pytest.fixture
def browser(services):
    with make_client(services, "") as client:
        yield client


def log_in(browser, who="run", **headers):
    return browser.post("/login", content=f"token={TOKENS.get(who, who)}", headers={**SAME, **headers})


def test_a_browser_logs_in_with_a_token(browser, services):
    answer = log_in(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "secure", "path=/", "max-age=43200"))
    assert TOKENS["run"] not in answer.headers["set-cookie"]


def session(services, who="run"):
    return {"cookie": f"{COOKIE}={services.auth.session(TOKENS[who], 'test')}"}


def test_a_session_reads_and_starts_from_the_services_own_pages_only(browser, services):
    cookie = session(services)
    assert browser.get("/v1/analyses", headers=cookie).status_code == 200
    for told, status in (
        (SAME, 201),
        ({"origin": "http://testserver"}, 201),
        ({}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://testserver"}, 403),
    ):
        answer = browser.post("/v1/analyses", json=START, headers={**cookie, **told})
        assert answer.status_code == status, told


def test_a_session_ends_with_its_time_and_with_its_token(browser, services):
    cookie = session(services)
    services.clock.pass_s(12 * 3600 - 1)
    assert browser.get("/v1/about", headers=cookie).status_code == 200
    services.clock.pass_s(2)
    assert browser.get("/v1/about", headers=cookie).status_code == 401


def test_a_session_that_was_tampered_with_is_none(browser, services):
    name, cookie = session(services, "read")["cookie"].split("=")
    key, ends, salt, seal = cookie.split(".")
    other = session(services, "admin")["cookie"].split("=")[1].split(".")[0]
    for forged in (
        f"{other}.{ends}.{salt}.{seal}",
        f"{key}.{int(ends) + 1}.{salt}.{seal}",
        f"{key}.{ends}.{salt}.{seal[:-1]}",
        f"{key}.{ends}.{salt}.",
        "...",
        "x" * 5000,
        "",
    ):
        assert browser.get("/v1/about", headers={"cookie": f"{name}={forged}"}).status_code == 401, forged


def test_another_key_knows_no_sessions_of_this_one(browser, services, tmp_path):
    cookie = session(services)
    services.auth._session_key = b"other" * 8
    assert browser.get("/v1/about", headers=cookie).status_code == 401


def test_the_link_of_the_first_start_works_once(browser, services):
    code = services.auth.make_code(digest_of(TOKENS["admin"]))
    first = browser.get("/login", params={"code": code})
    assert (first.status_code, COOKIE in first.headers["set-cookie"]) == (303, True)
    second = browser.get("/login", params={"code": code}, headers={"cookie": ""})
    assert (second.status_code, "set-cookie" in second.headers) == (401, False)
    assert browser.get("/login", params={"code": "guess"}).status_code == 401


@pytest.mark.parametrize(("who", "status"), [("wrong-token", 401), ("", 401), ("expired", 401)])
def test_a_wrong_token_logs_nobody_in(browser, who, status):
    answer = log_in(browser, who)
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, False)
    assert 'role="alert"' in answer.text


def test_another_site_logs_nobody_in(browser):
    assert log_in(browser, **{"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_form_of_many_fields_logs_nobody_in(browser):
    assert browser.post("/login", content="&".join(["a=1"] * 20), headers=SAME).status_code == 401


def test_logging_out_ends_the_session_in_the_browser(browser, services):
    answer = browser.post("/logout", headers={**SAME, **session(services)})
    assert (answer.status_code, "max-age=0" in answer.headers["set-cookie"].lower()) == (303, True)
    assert browser.post("/logout", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_browser_that_is_not_logged_in_is_led_to_the_form(browser):
    page = {"accept": "text/html"}
    assert browser.get("/", headers=page).headers["location"] == "/analyses"
    for path, asked in (
        ("/analyses", "%2Fanalyses"),
        ("/history?namespace=shop&name=a%26b", "%2Fhistory%3Fnamespace%3Dshop%26name%3Da%2526b"),
    ):
        answer = browser.get(path, headers=page)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={asked}")
    assert browser.get(f"/history?name={'x' * 3000}", headers=page).headers["location"] == "/login"
    assert "<form" in browser.get("/login").text


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/history?namespace=shop&name=cart", "/history?namespace=shop&name=cart"),
        ("/analyses/0f1e#l1", "/analyses/0f1e#l1"),
        ("", "/"),
        ("analyses", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nset-cookie: a=b", "/"),
        ('/"><script>', '/"><script>'),
    ],
)
def test_who_logs_in_is_led_to_the_page_asked_for_and_nowhere_else(browser, asked, led):
    form = browser.get("/login", params={"next": asked}).text
    (hidden,) = re.findall(r'name="next" value="([^"]*)"', form)
    assert html.unescape(hidden) == led
    body = urlencode({"token": TOKENS["run"], "next": asked})
    answer = browser.post("/login", content=body, headers=SAME)
    assert (answer.status_code, unquote(answer.headers["location"])) == (303, led)


def test_a_slip_of_the_hand_does_not_lose_the_page_asked_for(browser):
    body = urlencode({"token": "wrong-token", "next": "/analyses/0f1e"})
    answer = browser.post("/login", content=body, headers=SAME)
    assert (answer.status_code, 'value="/analyses/0f1e"' in answer.text) == (401, True)


# What is written down


def test_who_did_what_is_written_down(client, caplog):
    caplog.set_level("INFO", "rollout_verdict.audit")
    made = client.post("/v1/analyses", json={**START, "name": "running"}).json()["id"]
    client.post(f"/v1/analyses/{made}/cancel")
    done = client.post("/v1/analyses", json=START).json()["id"]
    client.post(f"/v1/analyses/{done}/replay", json={})
    lines = [(one.action, one.caller, one.namespace) for one in caplog.records if getattr(one, "audit", False)]
    assert lines == [(word, "argo", "shop") for word in ("started", "cancelled", "started", "replayed")]
    assert caplog.records[1].analysis == made


def test_who_logged_in_is_written_down_by_token_and_by_link(browser, services, caplog):
    caplog.set_level("INFO", "rollout_verdict.audit")
    log_in(browser)
    browser.get("/login", params={"code": services.auth.make_code(digest_of(TOKENS["admin"]))})
    log_in(browser, "wrong-token")
    lines = [(one.action, one.caller) for one in caplog.records if getattr(one, "audit", False)]
    assert lines == [("logged in", "argo"), ("logged in", "owner")]


def test_counters_know_no_path_and_no_name(client):
    client.get("/v1/analyses/some-secret-id")
    client.get("/nowhere/some-secret-path")
    text = client.get("/metrics").text
    assert "some-secret" not in text
    assert 'route="/v1/analyses/{analysis_id}",status="404"' in text


def test_readiness_says_why_not(tmp_path):
    with make_client(make_services(tmp_path, ready=lambda: "the database does not answer"), "") as client:
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["message"]) == (503, "the database does not answer")
        assert client.get("/healthz").status_code == 200
