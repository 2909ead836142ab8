"""The stub API server: what it holds and says is what the schemas allow, and the real client understands it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from kubernetes import client
from kubernetes import config as kubeconfig
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError, MaxRetryError, ProtocolError, ReadTimeoutError

from tests.conftest import missing
from tests.fakes.kubernetes import Cluster, Fault, Stub, scenarios, schemas, tls
from tests.fakes.kubernetes.faults import ANSWERS
from tests.fakes.kubernetes.objects import Place, Version, service
from tests.fakes.kubernetes.selectors import fields, labels
from tests.fakes.kubernetes.status import Refusal

NOW = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)
PLACE = Place(now=NOW)
FARES = ("ready", "crash-loop", "image-pull", "pending", "out-of-memory", "not-ready")


def situations():
    """Every way of making a rollout, by name."""
    for situation in ("progressing", "paused", "aborted", "promoted", "degraded"):
        yield f"canary-{situation}", lambda cluster, s=situation: scenarios.canary(cluster, PLACE, situation=s)
    yield "canary-first-revision", lambda cluster: scenarios.canary(cluster, PLACE, newest=None)
    older = Version(hash="old111", revision=10)
    yield "canary-with-history", lambda cluster: scenarios.canary(cluster, PLACE, previous=older, routed=False)
    for fares in FARES:
        canary = replace(scenarios.CANARY, fares=fares, sidecars=("istio-proxy",), init=("migrate",))
        yield f"canary-{fares}", lambda cluster, c=canary: scenarios.canary(cluster, PLACE, newest=c)
    yield "blue-green-before", lambda cluster: scenarios.blue_green(cluster, PLACE)
    yield "blue-green-after", lambda cluster: scenarios.blue_green(cluster, PLACE, switched=True, situation="promoted")
    yield "experiment", lambda cluster: scenarios.experiment(cluster, PLACE)
    yield "deployment", lambda cluster: scenarios.deployment(cluster, PLACE, older=older)
    yield "workload-ref", lambda cluster: scenarios.workload_ref(cluster, PLACE)
    blue_green = scenarios.blue_green
    yield "workload-ref-blue-green", lambda cluster: scenarios.workload_ref(cluster, PLACE, make=blue_green)

    def runs(cluster):
        tree = scenarios.canary(cluster, PLACE)
        scenarios.analysis_run(cluster, PLACE, tree, arguments={"canary-hash": "7d4cc1"})
        scenarios.analysis_run(cluster, PLACE, tree, kind="Background", name="background")
        tried = scenarios.experiment(cluster, PLACE, owner=tree)
        scenarios.analysis_run(cluster, PLACE, tried, kind="", name="of-experiment")

    yield "analysis-runs", runs


def made(build):
    """Return a cluster with one situation in it."""
    cluster = Cluster(clock=lambda: NOW)
    build(cluster)
    return cluster


@pytest.fixture
def served(tmp_path):
    """Return a function that serves a cluster and gives (stub, client)."""
    running, apis = [], []

    def serve(cluster, *, certificates=None, **kubeconfig_options):
        stub = Stub(cluster, tls=certificates).__enter__()
        running.append(stub)
        path = stub.kubeconfig(tmp_path / f"config{len(running)}", **kubeconfig_options)
        configuration = client.Configuration()
        kubeconfig.load_kube_config(str(path), client_configuration=configuration)
        configuration.retries = False
        apis.append(client.ApiClient(configuration))
        return stub, apis[-1]

    yield serve
    for api in apis:
        api.rest_client.pool_manager.clear()
    for stub in running:
        stub.__exit__()


@pytest.mark.parametrize(
    ("name", "build"), tuple(situations()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_objects_of_kubernetes_satisfy_its_schemas(name, build):
    """Every object of every scenario is one the API server could have stored."""
    cluster = made(build)
    checked = 0
    for (group, _), shelf in cluster.objects.items():
        for tree in shelf.values():
            if group in ("argoproj.io", "metrics.k8s.io"):
                continue
            checked += 1
            assert schemas.problems(tree) == [], tree["metadata"]["name"]
    assert checked


@pytest.mark.parametrize(
    ("name", "build"), tuple(situations()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_objects_of_argo_satisfy_its_crds(name, build):
    """Rollouts, AnalysisRuns and Experiments are what the released CRDs allow, with no field they do not know."""
    folder = schemas.crd_folder()
    if folder is None:
        missing("the Argo Rollouts module is not in Go's module cache")
    for (group, _), shelf in made(build).objects.items():
        for tree in shelf.values():
            if group == "argoproj.io":
                assert schemas.argo_problems(tree, folder) == [], tree["metadata"]["name"]


def test_the_schemas_bite():
    """A wrong type, and a field that does not exist, are found."""
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE))
    pod = cluster.of("", "pods")[0]
    assert any(
        "restartPolicyy" in told for told in schemas.problems(pod | {"spec": pod["spec"] | {"restartPolicyy": 1}})
    )
    folder = schemas.crd_folder()
    if folder is None:
        missing("the Argo Rollouts module is not in Go's module cache")
    tree = cluster.of("argoproj.io", "rollouts")[0]
    assert schemas.argo_problems(tree | {"status": tree["status"] | {"stableRs": "x"}}, folder)


@pytest.mark.parametrize("name", ANSWERS)
def test_failures_are_status_objects(name):
    """What the server answers a failed request with is a Status by the schema, unless a proxy wrote it."""
    body = ANSWERS[name].body
    if isinstance(body, dict) and body["kind"] == "Status":
        assert schemas.problems(body, name="status-meta-v1") == []
        assert body["code"] == ANSWERS[name].code


def test_lists_satisfy_their_schemas_and_come_in_pages(served):
    """A list with a limit continues where it stopped; its items are the pods that the selector chooses."""
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE))
    _, api = served(cluster)
    core = client.CoreV1Api(api)
    first = core.list_namespaced_pod("shop", label_selector="rollouts-pod-template-hash=5b8f9c", limit=2)
    rest = core.list_namespaced_pod(
        "shop", label_selector="rollouts-pod-template-hash=5b8f9c", limit=2, _continue=first.metadata._continue
    )
    names = [pod.metadata.name for pod in (*first.items, *rest.items)]
    assert len(names) == len(set(names)) == scenarios.STABLE.pods
    assert rest.metadata._continue is None
    assert all(name.startswith("checkout-5b8f9c-") for name in names)


def test_custom_objects_and_metrics_are_read(served):
    """Rollouts and resource use are read as dictionaries, the list with kinds in its items."""
    _, api = served(made(lambda cluster: scenarios.canary(cluster, PLACE)))
    custom = client.CustomObjectsApi(api)
    tree = custom.get_namespaced_custom_object("argoproj.io", "v1alpha1", "shop", "rollouts", "checkout")
    assert tree["status"]["stableRS"] == "5b8f9c"
    listed = custom.list_namespaced_custom_object("argoproj.io", "v1alpha1", "shop", "rollouts")
    assert listed["items"][0]["kind"] == "Rollout"
    used = custom.list_namespaced_custom_object("metrics.k8s.io", "v1beta1", "shop", "pods")
    assert used["items"][0]["containers"][0]["usage"] == {"cpu": "40m", "memory": "65536Ki"}


def read_log(api, pod, **query):
    """Read a log by the raw call that takes sinceTime."""
    arguments = api.param_serialize(
        method="GET",
        resource_path="/api/v1/namespaces/{namespace}/pods/{name}/log",
        path_params={"namespace": "shop", "name": pod},
        query_params=list(query.items()),
        header_params={"Accept": "*/*"},
        auth_settings=["BearerToken"],
    )
    response = api.call_api(*arguments, _request_timeout=(5, 0.3))
    body = response.read()
    if response.status != 200:
        raise ApiException(status=response.status, body=body.decode())
    return body


def first_pod(cluster):
    """Return the name of the first canary pod."""
    return next(tree["metadata"]["name"] for tree in cluster.of("", "pods") if "7d4cc1" in tree["metadata"]["name"])


def test_logs_are_cut_as_the_kubelet_cuts_them(served):
    """sinceTime, tailLines and limitBytes cut; stamps come only when asked for."""
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE))
    _, api = served(cluster)
    pod = first_pod(cluster)
    whole = read_log(api, pod, timestamps="true")
    since = NOW - timedelta(seconds=60)
    late = read_log(api, pod, timestamps="true", sinceTime=since.isoformat().replace("+00:00", "Z"))
    assert 0 < len(late) < len(whole)
    assert all(line[:19] >= b"2026-01-31T09:59:00" for line in late.splitlines())
    assert read_log(api, pod, tailLines="2") == b"".join(line[31:] for line in whole.splitlines(keepends=True)[-2:])
    assert len(read_log(api, pod, limitBytes="100")) == 100


@pytest.mark.parametrize(("fares", "same"), [("crash-loop", True), ("out-of-memory", False)])
def test_a_container_that_waits_has_its_last_log_only(served, fares, same):
    """As the kubelet answers for one: with or without ``previous``; one that runs again has two."""
    newest = replace(scenarios.CANARY, fares=fares)
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE, newest=newest))
    _, api = served(cluster)
    last = read_log(api, first_pod(cluster), previous="true")
    assert b"cannot open ledger" in last
    assert (read_log(api, first_pod(cluster)) == last) is same


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"previous": "true"}, 'previous terminated container \\"checkout\\" in pod'),
        ({"container": "nobody"}, "container nobody is not valid for pod"),
        ({"sinceTime": "yesterday"}, "cannot parse"),
    ],
)
def test_logs_that_are_not_there_are_refused_in_the_kubelets_words(served, query, message):
    """A 400 whose message people know."""
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE))
    _, api = served(cluster)
    with pytest.raises(ApiException) as refused:
        read_log(api, first_pod(cluster), **query)
    assert refused.value.status == 400
    assert message in refused.value.body


def test_a_denied_verb_is_forbidden_in_the_servers_words(served):
    """The message names user, verb, resource, group and namespace; the review of access says the same."""
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE))
    cluster.denied = {("get", "pods/log"), ("list", "rollouts.argoproj.io")}
    _, api = served(cluster)
    with pytest.raises(ApiException) as refused:
        read_log(api, first_pod(cluster))
    assert refused.value.status == 403
    expected = 'cannot get resource \\"pods/log\\" in API group \\"\\" in the namespace \\"shop\\"'
    assert expected in refused.value.body
    attributes = {"namespace": "shop", "verb": "get", "resource": "pods", "subresource": "log"}
    for verb, allowed in (("get", False), ("list", True)):
        review = client.V1SelfSubjectAccessReview(
            spec=client.V1SelfSubjectAccessReviewSpec(
                resource_attributes=client.V1ResourceAttributes(**{**attributes, "verb": verb})
            )
        )
        answer = client.AuthorizationV1Api(api).create_self_subject_access_review(review)
        assert answer.status.allowed is allowed
    with pytest.raises(ApiException) as refused:
        client.CustomObjectsApi(api).list_namespaced_custom_object("argoproj.io", "v1alpha1", "shop", "rollouts")
    assert "rollouts.argoproj.io is forbidden: User" in refused.value.body


def test_tokens_are_checked_and_reviewed(served):
    """Without a known token there is a 401; a TokenReview tells whose it is."""
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE))
    cluster.tokens = {"right": "system:serviceaccount:shop:page"}
    _, stranger = served(cluster)
    with pytest.raises(ApiException) as refused:
        client.CoreV1Api(stranger).list_namespaced_pod("shop")
    assert refused.value.status == 401
    _, known = served(cluster, token="right")
    assert client.CoreV1Api(known).list_namespaced_pod("shop").items
    reviews = client.AuthenticationV1Api(known)
    for token, authenticated in (("right", True), ("wrong", None)):
        review = client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token))
        assert reviews.create_token_review(review).status.authenticated is authenticated


def test_the_server_tells_of_itself(served):
    """Version and groups; a group that is not installed is a path nobody serves."""
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE))
    cluster.groups_away = {"argoproj.io"}
    _, api = served(cluster)
    assert client.VersionApi(api).get_code().git_version == "v1.37.0"
    groups = [group.name for group in client.ApisApi(api).get_api_versions().groups]
    assert "apps" in groups
    assert "argoproj.io" not in groups
    with pytest.raises(ApiException) as refused:
        client.CustomObjectsApi(api).get_namespaced_custom_object(
            "argoproj.io", "v1alpha1", "shop", "rollouts", "checkout"
        )
    assert (refused.value.status, refused.value.body) == (404, "404 page not found\n")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(resource="pods/log", share=0.5, then="reset"), (ProtocolError, OSError)),
        (Fault(resource="pods/log", share=0.5, then="close"), (ProtocolError, OSError)),
        (Fault(resource="pods/log", share=0.5, then="hang"), (ReadTimeoutError, OSError)),
        (Fault(resource="pods/log", share=0.0, then="hang"), (ReadTimeoutError, OSError)),
        (Fault(resource="pods/log", answer=ANSWERS["503"]), ApiException),
    ],
    ids=["reset", "close", "hang", "silence", "answer"],
)
def test_faults_reach_the_client(served, fault, error):
    """Each kind of fault is what a client sees of the real thing."""
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE))
    cluster.faults = [fault]
    _, api = served(cluster)
    with pytest.raises(error):
        read_log(api, first_pod(cluster))


def test_a_fault_strikes_as_often_as_it_says(served):
    """Once, then all is well."""
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE))
    cluster.faults = [Fault(resource="pods", verb="list", times=1, answer=ANSWERS["429"])]
    _, api = served(cluster)
    with pytest.raises(ApiException) as refused:
        client.CoreV1Api(api).list_namespaced_pod("shop")
    assert refused.value.headers["Retry-After"] == "1"
    assert client.CoreV1Api(api).list_namespaced_pod("shop").items


@pytest.mark.parametrize("kind", ["good", "expired", "other host", "other CA"])
def test_certificates_are_what_they_say(served, tmp_path, kind):
    """Only the good one is accepted."""
    hosts = ("cluster.example",) if kind == "other host" else ("127.0.0.1",)
    files = tls.make(tmp_path / "a", hosts=hosts, expired=kind == "expired")
    ca = tls.make(tmp_path / "b").ca if kind == "other CA" else None
    _, api = served(made(lambda cluster: scenarios.canary(cluster, PLACE)), certificates=files, ca=ca)
    if kind == "good":
        assert client.CoreV1Api(api).list_namespaced_pod("shop").items
        return
    with pytest.raises((ApiException, MaxRetryError, HTTPError)):
        client.CoreV1Api(api).list_namespaced_pod("shop")


def test_a_watch_tells_what_changes(served):
    """The present state first, then changes."""
    cluster = made(lambda cluster: scenarios.canary(cluster, PLACE))
    _, api = served(cluster)
    from kubernetes import watch

    custom = client.CustomObjectsApi(api)
    stream = watch.Watch().stream(
        custom.list_namespaced_custom_object, "argoproj.io", "v1alpha1", "shop", "rollouts", timeout_seconds=5
    )
    assert next(stream)["type"] == "ADDED"
    cluster.change("argoproj.io", "rollouts", "shop", "checkout", lambda tree: tree["status"].update(phase="Paused"))
    changed = next(stream)
    assert (changed["type"], changed["object"]["status"]["phase"]) == ("MODIFIED", "Paused")


def test_writes_fail_the_test_that_makes_them():
    """Nothing of ours may change a cluster, so the stub complains when it ends."""
    stub = Stub(Cluster()).__enter__()
    core = client.CoreV1Api(client.ApiClient(client.Configuration(host=stub.url)))
    with pytest.raises(ApiException):
        core.create_namespaced_service("shop", service(PLACE, "x", {}))
    with pytest.raises(AssertionError, match="may change the cluster"):
        stub.__exit__()


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("app=a", True),
        ("app==a,tier", True),
        ("app!=a", False),
        ("other!=a", True),
        ("app in (a, b)", True),
        ("app notin (a,b),tier", False),
        ("!other,app in (a)", True),
        ("!app", False),
        ("", True),
    ],
)
def test_label_selectors(selector, chosen):
    """Equality, sets and existence, joined by commas."""
    assert labels(selector)({"app": "a", "tier": "web"}) is chosen


def test_field_selectors():
    """Paths into the object, equal or not."""
    tree = {"involvedObject": {"name": "x", "kind": "Pod"}}
    assert fields("involvedObject.name=x,involvedObject.kind!=Node")(tree)
    assert not fields("involvedObject.name==y")(tree)
    with pytest.raises(ValueError, match="invalid selector"):
        fields("nonsense")


def test_refusals_are_raised():
    """A refusal ends the work on a request."""
    with pytest.raises(Refusal):
        raise ANSWERS["401"]
