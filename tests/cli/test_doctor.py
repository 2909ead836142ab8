"""``doctor``: what is there, what is not, and what to do about it."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from rollout_verdict.adapters.kubernetes import cluster
from rollout_verdict.adapters.kubernetes.trouble import Access
from rollout_verdict.cli.cluster import READS
from tests.adapters.prometheus.server import Tsdb, prometheus
from tests.cli.live import live
from tests.conftest import ROOT
from tests.fakes.gemini.server import FakeGemini
from tests.fakes.kubernetes import Fault, tls
from tests.fakes.kubernetes.faults import ANSWERS

__all__ = ["live"]
ROLE = ROOT / "docs" / "rbac.yaml"
KEY = "a" * 39


def told(ran):
    """Return the checks of a run by name."""
    return {check["name"]: check for check in json.loads(ran.out)["checks"]}


def role():
    """Return the rules that the documentation gives."""
    documents = yaml.safe_load_all(ROLE.read_text(encoding="utf-8"))
    return next(one["rules"] for one in documents if one["kind"] == "ClusterRole")


def test_where_all_is_there_nothing_is_to_be_done(run, live, monkeypatch):
    """Each check says ok, and the exit code is 0."""
    options = live().options
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    ran = run("doctor", *options)
    assert ran.code == 0
    assert "ok       cluster: http://127.0.0.1" in ran.out
    assert "v1.37.0" in ran.out
    assert "ok       model: key from GEMINI_API_KEY" in ran.out
    assert KEY not in ran.out
    assert "missing" not in ran.out


def test_the_documented_role_is_enough(run, live):
    """With exactly the rules of docs/rbac.yaml every permission is there, and a verdict has no gap about access."""
    served = live()
    served.cluster.rules = role()
    ran = run("doctor", "-o", "json", *served.options)
    assert ran.code == 0
    assert all(check["state"] == "ok" for name, check in told(ran).items() if name.startswith("may "))
    tree = json.loads(run("explain", "checkout", "-o", "json", *served.options).out)
    assert [gap for gap in tree["verdict"]["gaps"] if "403" in gap["reason"]] == []
    assert tree["verdict"]["decision"] == "promote"


def test_the_documented_role_has_nothing_to_spare():
    """Each verb in it is one that is checked, and the other way round."""
    given = {
        (verb, group, resource)
        for rule in role()
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    asked = {
        (read.verb, read.resource.group, read.resource.plural + (f"/{read.resource.sub}" if read.resource.sub else ""))
        for read in READS
    }
    assert given == asked


@pytest.mark.parametrize("read", READS, ids=lambda read: f"{read.verb} {read.resource.named}/{read.resource.sub}")
def test_each_verb_that_is_missing_is_named(run, live, read):
    """With the command that checks it; without one that is needed the exit code is 1."""
    served = live()
    resource = read.resource.named + (f"/{read.resource.sub}" if read.resource.sub else "")
    served.cluster.denied = {(read.verb, resource)}
    ran = run("doctor", "-o", "json", *served.options)
    access = Access(resource=read.resource, namespace="shop", name="x" if read.verb == "get" else "")
    missing = [
        check for check in told(ran).values() if check["state"] in ("missing", "optional") and "may" in check["name"]
    ]
    assert [check["name"] for check in missing] == [f"may {read.verb} {access.told} in shop"]
    assert missing[0]["todo"].endswith(f"check with: {access.check('')}")
    assert ran.code == (1 if read.needed else 0)


def test_only_what_keeps_rollouts_from_being_judged_is_needed():
    """As docs/rbac.md tells what comes of each that is missing."""
    assert {read.resource.named for read in READS if read.needed} == {"rollouts.argoproj.io", "pods"}
    assert [read.resource.sub for read in READS if read.needed] == ["", "", "log"]


@pytest.mark.parametrize(
    ("group", "check", "todo"),
    [("argoproj.io", "Argo Rollouts", "install Argo Rollouts"), ("metrics.k8s.io", "resource use", "metrics-server")],
)
def test_what_is_not_installed_is_optional(run, live, group, check, todo):
    """Deployments can be judged without Argo Rollouts, and anything without a metrics server."""
    served = live()
    served.cluster.groups_away = {group}
    ran = run("doctor", "-o", "json", *served.options)
    assert told(ran)[check]["state"] == "optional"
    assert todo in told(ran)[check]["todo"]
    assert ran.code == 0


@pytest.mark.parametrize("seconds", [-3600, 90])
def test_clocks_that_differ_are_told(run, live, seconds):
    """By how much and in which direction."""
    served = live()
    served.cluster.clock = lambda: datetime.now(UTC) + timedelta(seconds=seconds)
    clock = told(run("doctor", "-o", "json", *served.options))["clock"]
    assert clock["state"] == "optional"
    assert ("behind" if seconds < 0 else "ahead of") in clock["found"]
    assert "NTP" in clock["todo"]


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (Fault(answer=ANSWERS["401"]), "does not know who we are"),
        (Fault(answer=ANSWERS["html"]), "is no API server"),
        (Fault(answer=ANSWERS["503"]), "(503) is no API server"),
        (Fault(share=0.5, then="close"), "broke"),
        (Fault(share=0.0, then="hang"), "took too long"),
        (Fault(pause_s=0.25), "took too long"),
    ],
    ids=["401", "html", "503", "cut", "hung", "drips"],
)
def test_a_cluster_that_does_not_answer_is_missing(run, live, fault, found):
    """One check that says why; those that depend on it are left out."""
    served = live()
    served.cluster.faults = [fault]
    ran = run("doctor", "-o", "json", "--request-timeout", "300ms", *served.options)
    checks = told(ran)
    assert ran.code == 1
    assert checks["cluster"]["state"] == "missing"
    assert found in checks["cluster"]["found"]
    assert checks["cluster"]["todo"]
    assert set(checks) == {"cluster", "prometheus", "model"}


def test_a_certificate_that_is_not_trusted_is_told(run, live, tmp_path):
    """In words, with what to check."""
    other = tls.make(tmp_path / "other").ca
    served = live(certificates=tls.make(tmp_path / "own"), ca=other)
    check = told(run("doctor", "-o", "json", *served.options))["cluster"]
    assert "certificate is not trusted" in check["found"]
    assert "certificate-authority" in check["todo"]


def test_permissions_that_cannot_be_asked_are_unknown(run, live):
    """Some clusters refuse the review: that is no refusal of the access."""
    served = live()
    served.cluster.faults = [Fault(resource="selfsubjectaccessreviews*", answer=ANSWERS["403"])]
    ran = run("doctor", "-o", "json", *served.options)
    states = {check["state"] for name, check in told(ran).items() if name.startswith("may ")}
    assert states == {"unknown"}
    assert "kubectl auth can-i" in told(ran)["may list pods in shop"]["todo"]


def test_a_credential_plugin_that_hangs_is_told(run, live, tmp_path, monkeypatch):
    """By its name, after its deadline; the rest is checked all the same."""
    monkeypatch.setattr(cluster, "PLUGIN_S", 0.3)
    served = live()
    command = served.hung(tmp_path)
    ran = run("doctor", "-o", "json", *served.options)
    check = told(ran)["cluster"]
    assert (ran.code, check["state"]) == (1, "missing")
    assert f"the credential plugin {command} of the kubeconfig did not answer within 0.3 s" in check["found"]
    assert "s3cr3t" not in ran.out + ran.err
    assert "model" in told(ran)


def test_no_kubeconfig(run, tmp_path):
    """The rest is checked all the same."""
    ran = run("doctor", "-o", "json", "--kubeconfig", tmp_path / "none")
    assert ran.code == 1
    assert told(ran)["cluster"]["state"] == "missing"
    assert told(ran)["model"]["state"] == "optional"


@pytest.mark.parametrize(
    ("key", "found"),
    [("abc", "3 characters, which is too few"), ('"' + KEY + '"', "no key has"), ("b" * 300, "too many")],
)
def test_a_key_that_cannot_be_one_is_told_without_showing_it(run, tmp_path, monkeypatch, key, found):
    """The wrong paste is the most frequent mistake."""
    monkeypatch.setenv("GEMINI_API_KEY", key)
    ran = run("doctor", "-o", "json", "--kubeconfig", tmp_path / "none")
    assert found in told(ran)["model"]["found"]
    assert key not in ran.out


@pytest.fixture(scope="module")
def served_metrics(tmp_path_factory):
    """The address of a Prometheus that scraped an nginx Ingress a minute ago."""
    folder, tsdb, now = tmp_path_factory.mktemp("prometheus"), Tsdb(), time.time()
    labels = {"exported_namespace": "shop", "exported_service": "checkout", "status": "200"}
    tsdb.add("nginx_ingress_controller_requests", labels, [(now - 300 + 15 * step, step) for step in range(17)])
    with prometheus(folder, tsdb=tsdb.write(folder)) as address:
        yield address


def test_prometheus_is_told_with_the_presets_it_can_feed(run, tmp_path, monkeypatch, served_metrics):
    """By the settings, or by the option."""
    options = ["-o", "json", "--kubeconfig", tmp_path / "none"]
    check = told(run("doctor", *options, "--prometheus", served_metrics))["prometheus"]
    assert check["state"] == "ok"
    assert "nginx" in check["found"]
    monkeypatch.setenv("ROLLOUT_VERDICT_PROMETHEUS", served_metrics)
    assert told(run("doctor", *options))["prometheus"] == check
    monkeypatch.setenv("ROLLOUT_VERDICT_PROMETHEUS_MATCHERS", "cluster=eu-1")  # of which it has no series
    assert told(run("doctor", *options))["prometheus"]["state"] == "optional"


def test_a_prometheus_without_known_metrics_is_optional(run, tmp_path):
    """There may be queries of one's own."""
    with prometheus(tmp_path) as address:
        ran = run("doctor", "-o", "json", "--kubeconfig", tmp_path / "none", "--prometheus", address)
    assert told(ran)["prometheus"]["state"] == "optional"
    assert "queries of your own" in told(ran)["prometheus"]["todo"]


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "ftp://metrics", "http://user:secret@metrics"])
def test_a_prometheus_that_is_named_and_not_there_is_missing(run, tmp_path, address):
    """With what to check; a password in an address is not repeated."""
    ran = run("doctor", "-o", "json", "--kubeconfig", tmp_path / "none", "--prometheus", address)
    assert told(ran)["prometheus"]["state"] == "missing"
    assert told(ran)["prometheus"]["todo"]
    assert "secret" not in ran.out


def test_settings_that_cannot_be_used_are_told(run, tmp_path, monkeypatch):
    """By the variable's name."""
    monkeypatch.setenv("ROLLOUT_VERDICT_ATTEMPTS", "many")
    ran = run("doctor", "-o", "json", "--kubeconfig", tmp_path / "none")
    assert ran.code == 1
    assert "ROLLOUT_VERDICT_ATTEMPTS" in told(ran)["settings"]["found"]


@pytest.mark.parametrize(
    ("scene", "state"), [(None, "ok"), ("bad_key", "missing"), ("truncated", "ok"), ("overloaded", "missing")]
)
def test_the_model_is_asked_only_on_request(run, tmp_path, monkeypatch, scene, state):
    """One call of a few words; what it answers is not weighed."""
    with FakeGemini(script={"*": [scene]} if scene else {}) as model:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", model.url)
        monkeypatch.setenv("GEMINI_API_KEY", KEY)
        run("doctor", "--kubeconfig", tmp_path / "none")
        assert model.journal == []
        ran = run("doctor", "-o", "json", "--ask-model", "--kubeconfig", tmp_path / "none")
    answers = [check for name, check in told(ran).items() if name.startswith("answer of ")]
    assert [check["state"] for check in answers] == [state]
    assert bool(answers[0]["todo"]) is (state != "ok")
    assert len(model.journal) == 1
    assert KEY not in ran.out
