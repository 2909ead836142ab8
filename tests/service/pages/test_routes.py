"""The pages over HTTP: who may open and do what, filters and pages, what goes wrong, what browsers are told to refuse."""

import re
from dataclasses import replace
from urllib.parse import quote

import pytest

from rollout_verdict.core.memory import Marked, MarkKind
from rollout_verdict.jobs.analysis import Analysis, Phase, Request
from rollout_verdict.service.auth import COOKIE
from rollout_verdict.service.pages.assets import address, assets
from rollout_verdict.service.pages.frame import POLICY
from rollout_verdict.service.pages.reading import IN_A_HISTORY
from tests.service.conftest import TOKENS, bearer, make_client, make_services
from tests.service.memory import BEGAN, BUNDLES, packed
from tests.service.pages import scenes

GETS = (
    "/analyses", "/analyses/rollback", "/analyses/running", "/analyses/rollback/exchange",
    "/history?namespace=shop&name=checkout",
)  # fmt: skip
POSTS = (
    "/analyses/upload", "/analyses/start", "/analyses/running/cancel", "/analyses/rollback/replay",
    "/analyses/rollback/benign", "/marks/0f1e/remove",
)  # fmt: skip
HTML = {"Accept": "text/html"}


@pytest.fixture
def services(tmp_path):
    found = make_services(tmp_path)
    scenes.fill(found)
    return found


def names(page):
    return re.findall(r'<a class="open" href="[^"]*">([^<]*)</a>', page.text)


@pytest.mark.parametrize("path", GETS)
@pytest.mark.parametrize(
    ("who", "status"), [("read", 200), ("run", 200), ("admin", 200), ("shop", 200), ("expired", 303), ("wrong", 303), ("", 303)]
)  # fmt: skip
def test_who_may_read(services, path, who, status):
    """Whoever has a token reads; a browser without one is led to the form."""
    with make_client(services, who) as client:
        answer = client.get(path, headers=HTML)
        assert answer.status_code == status
        if status == 303:
            assert answer.headers["location"] == f"/login?next={quote(path, safe='')}"


@pytest.mark.parametrize("path", ["/analyses/rollback", "/analyses/rollback/exchange", "/analyses/none"])
def test_a_foreign_namespace_is_not_there(services, path):
    """Who may not see a namespace learns nothing of it, neither here nor in the list; asking for it is refused."""
    with make_client(services, "foreign") as client:
        assert client.get(path, headers=HTML).status_code == 404
        assert names(client.get("/analyses", headers=HTML)) == []
        for asked in ("/analyses?namespace=shop", "/history?namespace=shop&name=checkout"):
            refused = client.get(asked, headers=HTML)
            assert refused.status_code == 403
            assert "no access to namespace" in refused.text


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(("who", "status"), [("read", 403), ("", 401), ("expired", 401)])
def test_who_may_do(services, path, who, status):
    """Readers and strangers start, judge again and cancel nothing."""
    with make_client(services, who) as client:
        assert (
            client.post(path, data={"namespace": "shop", "name": "healthy", "item": "l1", "why": "known"}).status_code
            == status
        )
    assert services.analyses.kept["running"].phase is Phase.RUNNING


@pytest.mark.parametrize(
    ("analysis", "words"),
    [("error", "was not judged"), ("cancelled", "tells Argo Rollouts of an error"), ("gone", "is no longer kept")],
)
def test_what_has_no_evidence_offers_no_second_judgement(services, analysis, words):
    """The button would be refused; and what is said of the rollout is what the doors tell Argo Rollouts."""
    services.analyses.kept["gone"] = services.analyses.kept["promote"]  # its result is not there
    with make_client(services) as client:
        text = client.get(f"/analyses/{analysis}", headers=HTML).text
        assert words in text
        assert "Judge again" not in text
        assert "inconclusive" not in text


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}])
def test_a_foreign_page_does_nothing_with_somebodys_session(services, path, headers):
    """A form of another site is refused whatever cookie comes with it."""
    before = dict(services.analyses.kept)
    with make_client(services, "") as client:
        client.cookies.set(COOKIE, services.auth.session(TOKENS["admin"], "127.0.0.1"))
        answer = client.post(path, data={"namespace": "shop", "name": "healthy"}, headers=headers)
        assert answer.status_code == 403
        ours = client.post("/analyses/running/cancel", headers={"Sec-Fetch-Site": "same-origin"})
        assert ours.status_code == 303
    before["running"] = services.analyses.kept["running"]
    assert services.analyses.kept == before


@pytest.mark.parametrize("path", [*GETS, "/analyses/new", "/analyses/none"])
def test_nothing_inline_may_run(services, path):
    """The policy allows files of ours alone, and the page needs no more: no inline script, style or handler."""
    with make_client(services) as client:
        answer = client.get(path, headers=HTML)
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", answer.text)
    assert re.findall(r"<script[^>]*>", answer.text) == [f'<script type="module" src="{address("pages.js")}">']


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("namespace=payments", ["ledger"]),
        ("name=cart", ["cart", "cart"]),
        ("verdict=rollback", ["checkout", "checkout"]),
        ("verdict=running", ["search"]),
        ("name=cart&verdict=promote", ["cart"]),
        ("name=%20cart%20&verdict=cancelled", ["cart"]),
        ("name=nobody", []),
    ],
)
def test_filters(services, query, found):
    """Namespace, rollout and verdict narrow the list, and stay in the form."""
    for one in services.analyses.kept.values():
        assert one.request.name != "nobody"
    with make_client(services) as client:
        page = client.get(f"/analyses?{query}", headers=HTML)
        shown = [name for name in names(page) if name in found or not found]
        assert shown == found
        assert names(page) == found


def test_pages_of_the_list_follow_each_other(services):
    """Older leads on to what comes after, with the same filter, until there is no more."""
    for number in range(70):
        scenes.keep(services, scenes.results.bare(), id=f"many{number}", name=f"many-{number}", namespace="many")
    seen, path = [], "/analyses?namespace=many"
    with make_client(services) as client:
        while path:
            page = client.get(path, headers=HTML)
            seen += names(page)
            older = re.search(r'rel="next" href="([^"]*)"', page.text)
            path = older[1].replace("&amp;", "&") if older else ""
        assert ">Newest</a>" in page.text
    assert seen == [f"many-{number}" for number in reversed(range(70))]


def test_a_history_is_of_one_rollout(services):
    """Newest first, of this namespace and name alone."""
    scenes.keep(services, scenes.results.bare(), id="other", namespace="", name="checkout")
    with make_client(services) as client:
        page = client.get("/history?namespace=shop&name=checkout").text
        assert re.findall(r'<li id="a-(\w+)"', page) == ["rollback", *(f"old{n}" for n in reversed(range(6)))]
        assert "4 promote, 2 roll back, 1 inconclusive" in page
        assert re.findall(r'<li id="a-(\w+)"', client.get("/history?name=checkout").text) == ["other"]
        assert "No verdicts yet" in client.get("/history?namespace=shop&name=nobody").text
        assert client.get("/history?namespace=shop").status_code == 422


def test_only_a_session_can_be_logged_out_of(services):
    """A browser with a session has the button; a token in a header is nothing that could be ended here."""
    button = '<form class="leave" method="post" action="/logout">'
    with make_client(services) as client:
        assert button not in client.get("/analyses", headers=HTML).text
    with make_client(services, "") as client:
        client.cookies.set(COOKIE, services.auth.session(TOKENS["read"], "127.0.0.1"))
        assert button in client.get("/analyses", headers=HTML).text
        assert button in client.get("/analyses/none", headers=HTML).text
        assert client.post("/logout", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        left = client.post("/logout", headers={"Sec-Fetch-Site": "same-origin"})
        assert (left.status_code, left.headers["location"]) == (303, "/login")
        assert f'{COOKIE}=""' in left.headers["set-cookie"]
        assert "Max-Age=0" in left.headers["set-cookie"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/analyses?cursor=x", 422, "no longer known"),
        ("/analyses?verdict=maybe", 422, "expected one of the list"),
        ("/analyses?name=" + "x" * 300, 422, "name"),
        ("/analyses/none", 404, "no analysis with this id"),
        ("/analyses/" + "x" * 99, 422, "analysis_id"),
        ("/analyses/running/exchange", 404, "not done"),
    ],
)
def test_what_goes_wrong_is_a_page(services, path, status, words):
    """People read what went wrong in words, with a way back."""
    with make_client(services) as client:
        answer = client.get(path, headers=HTML)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert words in answer.text
    assert 'href="/analyses"' in answer.text


@pytest.mark.parametrize("path", ["/nope", "/analyses/rollback/nope", "/static/none.css", "/v1", "/nope?<b>=<b>"])
@pytest.mark.parametrize("who", ["run", ""])
def test_an_address_that_leads_nowhere_is_a_page(services, path, who):
    """Whoever mistypes an address reads so, logged in or not, and finds back."""
    with make_client(services, who) as client:
        answer = client.get(path, headers=HTML)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert answer.headers["content-security-policy"] == POLICY
        assert "<h1>Not found</h1>" in answer.text
        assert 'href="/analyses"' in answer.text
        assert "<b>" not in answer.text
        assert list(client.get(path).json()) == ["message"], "a program gets what programs get"


@pytest.mark.parametrize("path", ["/v1/nope", "/v1/analyses/none", "/a2a/nope", "/v1/analyses?limit=0"])
def test_the_interface_for_programs_stays_one_in_a_browser(services, path):
    with make_client(services) as client:
        answer = client.get(path, headers=HTML)
    assert answer.status_code in (404, 422)
    assert list(answer.json()) == ["message"]


def test_a_form_sent_after_its_session_has_ended_is_answered_by_a_page(services):
    with make_client(services, "") as client:
        answer = client.post("/analyses/running/cancel", headers=HTML)
    assert (answer.status_code, answer.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert "<h1>Not logged in</h1>" in answer.text


def test_an_outage_is_a_page(services):
    """While the database is away the page says so, and is no error of ours."""
    with make_client(services) as client:
        answer = client.post("/analyses/start", data={"namespace": "shop", "name": "unavailable"})
        assert answer.status_code == 503
        assert "the database does not answer" in answer.text


def upload(client, content, **fields):
    return client.post("/analyses/upload", files={"bundle": ("cart.tar.gz", content, "application/gzip")}, data=fields)


def test_an_upload_is_judged(services):
    """What the form says is what is asked: whose it is and how it is judged; without a name, the bundle's."""
    bundle = packed(BUNDLES / "healthy")
    with make_client(services) as client:
        answer = upload(client, bundle, namespace=" shop ", name="basket", mode="rules")
        assert answer.status_code == 303
        request = services.analyses.kept[answer.headers["location"].removeprefix("/analyses/")].request
        assert (request.namespace, request.name, request.config, request.origin, request.asked_by) == (
            "shop", "basket", {"mode": "rules"}, "page", "argo",
        )  # fmt: skip
        answer = upload(client, bundle)
        request = services.analyses.kept[answer.headers["location"].removeprefix("/analyses/")].request
        assert (request.namespace, request.name, request.config) == ("shop", "cart", {})


@pytest.mark.parametrize(
    ("content", "fields", "words"),
    [
        (b"no bundle", {}, "not a bundle"),
        (b"", {}, "not a bundle"),
        (packed(BUNDLES / "healthy"), {"namespace": "Not/One"}, "namespace: expected a name as Kubernetes has them"),
        (packed(BUNDLES / "healthy"), {"name": "x" * 300}, "name: String should have at most 253"),
        (packed(BUNDLES / "healthy"), {"name": "a/b"}, "name: holds a character that is not taken here"),
        (packed(BUNDLES / "healthy"), {"mode": "dice"}, "mode"),
    ],
)
def test_what_cannot_be_judged_comes_back_with_the_form(services, content, fields, words):
    """Nothing is started; the form tells what was wrong."""
    before = dict(services.analyses.kept)
    with make_client(services) as client:
        answer = upload(client, content, **fields)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'role="alert"' in answer.text
    assert services.analyses.kept == before


def test_forms_that_are_none(services):
    """No file, no form, too many files: told, and nothing started."""
    before = dict(services.analyses.kept)
    with make_client(services) as client:
        assert client.post("/analyses/upload", files={"other": ("a", b"x")}).status_code == 422
        broken = {"Content-Type": "multipart/form-data; boundary=x"}
        assert client.post("/analyses/upload", content=b"--y\r\n", headers=broken).status_code in (400, 422)
        many = [("bundle", ("a", b"x")), ("bundle", ("b", b"x"))]
        assert client.post("/analyses/upload", files=many).status_code == 400
    assert services.analyses.kept == before


def test_an_upload_is_bounded(tmp_path):
    """More than the limit is refused, as a page."""
    services = make_services(tmp_path, upload_bytes=1000)
    with make_client(services) as client:
        assert upload(client, b"x" * 5000).status_code == 413


def test_who_is_bound_to_namespaces_must_name_one(services):
    """An upload that belongs to nobody would be seen by nobody."""
    with make_client(services, "shop") as client:
        assert upload(client, packed(BUNDLES / "healthy")).status_code == 403
        assert upload(client, packed(BUNDLES / "healthy"), namespace="other").status_code == 403
        assert upload(client, packed(BUNDLES / "healthy"), namespace="shop").status_code == 303


def test_a_rollout_of_the_cluster_is_judged(services):
    """The form names an object; what cannot be one is told."""
    with make_client(services) as client:
        asked = {"kind": "deployment", "namespace": "shop", "name": "healthy", "mode": "rules"}
        answer = client.post("/analyses/start", data=asked)
        request = services.analyses.kept[answer.headers["location"].removeprefix("/analyses/")].request
        assert (request.target.kind.value, request.target.name, request.origin) == ("deployment", "healthy", "page")
        for wrong in ({"name": "Not a name"}, {"kind": "pod"}, {"mode": "dice"}):
            told = client.post("/analyses/start", data=asked | wrong)
            assert told.status_code == 422
            assert 'role="alert"' in told.text
        assert client.post("/analyses/start", data={"name": "x"}).status_code == 422


@pytest.mark.parametrize("path", ["/analyses/start", "/analyses/upload"])
def test_a_form_comes_back_as_it_was_sent(services, path):
    """What was typed is in the form it was typed in, and the message is for people."""
    asked = {"kind": "deployment", "namespace": "No namespace", "name": "cart", "mode": "rules"}
    with make_client(services) as client:
        page = client.post(path, data=asked, files={"bundle": ("cart.tar.gz", b"x", "application/gzip")})
    forms = dict(re.findall(r'<form[^>]* action="([^"]*)"(.*?)</form>', page.text, re.DOTALL))
    for action in ("/analyses/start", "/analyses/upload"):
        typed = [f'value="{word}"' in forms[action] for word in ("No namespace", "cart")]
        typed.append('value="rules" selected' in forms[action])
        assert typed == [action == path] * 3, action
    alert = re.search(r'role="alert".*?</div>', page.text)[0]
    assert "namespace: expected a name as Kubernetes has them: lower-case letters, digits, &#39;-&#39;<" in alert


def test_judged_again(services):
    """What is done can be judged again, what is not cannot."""
    with make_client(services) as client:
        answer = client.post("/analyses/rollback/replay", data={"mode": "rules"})
        again = client.get(answer.headers["location"])
        assert "judged again after an earlier analysis" in again.text
        assert client.post("/analyses/running/replay").status_code == 409
        assert client.post("/analyses/none/replay").status_code == 404
        assert client.post("/analyses/none/cancel").status_code == 404


def test_cancelling_what_is_over_changes_nothing(services):
    """The way leads back to the verdict."""
    with make_client(services) as client:
        answer = client.post("/analyses/rollback/cancel")
        assert answer.headers["location"] == "/analyses/rollback"
    assert services.analyses.kept["rollback"].phase is Phase.DONE


@pytest.mark.parametrize("name", ["pages.css", "pages.js", "icon.svg"])
def test_files_are_kept_for_long_under_their_version(services, name):
    """For ever under the digest in their address, never longer than asked for without it; no token is needed."""
    with make_client(services, "") as client:
        kept = client.get(address(name))
        assert kept.status_code == 200
        assert "immutable" in kept.headers["cache-control"]
        asked = client.get(f"/static/{name}")
        assert asked.headers["cache-control"] == "no-cache"
        assert client.get(f"/static/{name}?v=old").headers["cache-control"] == "no-cache"
        assert client.get(f"/static/{name}", headers={"If-None-Match": asked.headers["etag"]}).status_code == 304
        assert kept.content == asked.content == assets()[name].content
        assert client.get("/static/none.css").status_code == 404


def test_files_come_from_nowhere_else():
    """No file of ours loads another."""
    for name, found in assets().items():
        text = found.content.decode()
        assert "@import" not in text, name
        assert "url(" not in text, name
        assert "eval" not in text, name


def test_a_bearer_needs_no_page_of_ours(services):
    """A token in a header is proof of intent by itself."""
    with make_client(services, "") as client:
        assert client.post("/analyses/running/cancel", headers=bearer("run")).status_code == 303


def test_what_is_harmless_is_marked_and_taken_back(services):
    """The mark carries who and why, is told on the verdict and in the history, and can be taken back."""
    with make_client(services, "shop") as client:
        page = client.get("/analyses/rollback").text
        assert 'action="/analyses/rollback/benign"' in page
        assert "Known to be harmless<span" not in page
        answer = client.post("/analyses/rollback/benign", data={"item": "l1", "why": " the retry of the cache "})
        assert answer.headers["location"] == "/analyses/rollback#marks"
        [kept] = services.marks.find(("shop",), "checkout")
        assert (kept.mark.who, kept.mark.why, kept.mark.about.kind.value) == (
            "shopkeeper",
            "the retry of the cache",
            "log",
        )
        for path in ("/analyses/rollback", "/history?namespace=shop&name=checkout"):
            assert "the retry of the cache" in client.get(path).text
        taken = client.post(f"/marks/{kept.mark.id}/remove")
        assert taken.headers["location"] == "/history?namespace=shop&name=checkout"
        assert services.marks.find(None) == ()


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("/analyses/rollback/benign", {"item": "l1", "why": "x"}, 422),
        ("/analyses/rollback/benign", {"item": "l99", "why": "known"}, 422),
        ("/analyses/rollback/benign", {"item": "p1", "why": "known"}, 422),
        ("/analyses/rollback/benign", {"item": "<b>", "why": "known"}, 422),
        ("/analyses/running/benign", {"item": "l1", "why": "known"}, 409),
        ("/analyses/bare/benign", {"item": "l1", "why": "known"}, 422),
        ("/analyses/none/benign", {"item": "l1", "why": "known"}, 404),
        ("/marks/0f1e/remove", {}, 404),
    ],
)
def test_what_cannot_be_marked(services, path, data, status):
    """A pod's state, an item that is not there, an analysis without a rollout: told, and nothing kept."""
    with make_client(services) as client:
        assert client.post(path, data=data).status_code == status
    assert services.marks.find(None) == ()


def test_the_history_of_a_rollout_without_namespace_is_its_own(services):
    """However many rollouts of that name in namespaces are newer."""
    request = Request(id="nowhere", namespace="", name="checkout")
    kept = services.analyses.kept
    older = {"nowhere": Analysis(request=request, phase=Phase.ERROR, created=BEGAN, message="an old one")}
    services.analyses.kept = older | {
        f"namesake{n}": replace(kept["rollback"], request=replace(kept["rollback"].request, id=f"namesake{n}"))
        for n in range(IN_A_HISTORY + 1)
    }
    with make_client(services) as client:
        text = client.get("/history?name=checkout", headers=HTML).text
    assert "an old one" in text
    assert "namesake" not in text


def test_what_names_no_namespace_is_nothing_to_one_of_a_namespace(services):
    log = Marked(kind=MarkKind.LOG, key="k", text="a secret of others")
    services.marks.add("", "checkout", log, who="owner", why="known")
    with make_client(services, "shop") as client:
        answer = client.get("/history?name=checkout", headers=HTML)
    assert (answer.status_code, "a secret of others" in answer.text) == (403, False)
