"""Finding the two sides over the API: each kind of target, each situation."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from rollout_verdict.adapters.prometheus.placeholders import values
from rollout_verdict.core.target import TargetError, TargetKind
from rollout_verdict.core.values import Pair, Side, SourceKind
from tests.adapters.kubernetes.conftest import NOW
from tests.fakes.kubernetes import Fault, scenarios
from tests.fakes.kubernetes.faults import ANSWERS
from tests.fakes.kubernetes.scenarios import BASELINE, CANARY, STABLE, TRIED


def hashes(sides):
    rollout = sides.scope.rollout
    return rollout.stable_hash, rollout.canary_hash


def counts(sides):
    return len(sides.scope.pods.stable), len(sides.scope.pods.canary)


def test_a_canary_is_held_against_stable(world):
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    assert hashes(sides) == (STABLE.hash, CANARY.hash)
    assert counts(sides) == (3, 2)
    assert all(CANARY.hash in name for name in sides.scope.pods.canary)
    assert all(sides.scope.addresses.canary)
    progress = sides.progress
    assert (progress.strategy, progress.situation, progress.obstacle) == ("canary", "progressing", "")
    assert (progress.step, progress.steps, progress.weight, progress.revision) == (3, 6, 25, "12")
    assert [change.path for change in sides.diff.changes] == [
        "containers/checkout/digest",
        "containers/checkout/env/PAYMENTS_PORT",
        "containers/checkout/image",
    ]
    assert sides.gaps == ()


@pytest.mark.parametrize("situation", ["paused", "degraded"])
def test_a_canary_that_waits_is_compared_all_the_same(world, situation):
    scenarios.canary(world.cluster, world.place, situation=situation)
    sides = world.find()
    assert (sides.progress.situation, sides.progress.obstacle, counts(sides)) == (situation, "", (3, 2))


def test_an_aborted_rollout_has_a_canary_without_pods(world):
    scenarios.canary(world.cluster, world.place, situation="aborted")
    sides = world.find()
    assert (sides.progress.situation, sides.progress.obstacle) == ("aborted", "rollout checkout was aborted")
    assert counts(sides) == (3, 0)
    assert any(gap.side is Side.CANARY and "scaled to zero" in gap.reason for gap in sides.gaps)


def test_a_fully_promoted_rollout_has_no_canary(world):
    scenarios.canary(world.cluster, world.place, situation="promoted")
    sides = world.find()
    assert sides.progress.situation == "promoted"
    assert "fully promoted" in sides.progress.obstacle
    assert counts(sides) == (2, 0)


def test_who_asks_for_a_promoted_canary_by_its_hash_gets_what_came_before_it(world):
    scenarios.canary(world.cluster, world.place, situation="promoted")
    sides = world.find(hashes=Pair(stable="", canary=CANARY.hash))
    assert hashes(sides) == (STABLE.hash, CANARY.hash)
    assert "fully promoted" in sides.progress.obstacle
    assert sides.diff.changes


def test_a_rollout_scaled_to_zero(world):
    scenarios.canary(world.cluster, world.place, newest=None, stable=replace(STABLE, pods=0))
    world.cluster.change(
        "argoproj.io", "rollouts", "shop", "checkout", lambda rollout: rollout["spec"].update(replicas=0)
    )
    sides = world.find()
    assert (sides.progress.situation, counts(sides)) == ("scaled to zero", (0, 0))
    assert sides.progress.obstacle == "rollout checkout is scaled to zero"


def test_the_first_revision_has_no_stable_side(world):
    scenarios.canary(world.cluster, world.place, newest=None)
    world.cluster.change(
        "argoproj.io", "rollouts", "shop", "checkout", lambda rollout: rollout["status"].update(stableRS="")
    )
    sides = world.find()
    assert sides.progress.situation == "first revision"
    assert "there is no stable side" in sides.progress.obstacle
    assert counts(sides) == (0, 3)


@pytest.mark.parametrize(
    ("situation", "routed", "weight", "idle"),
    [
        ("progressing", True, 0, True),  # a setWeight of 0, or pods that are ready before the router is told
        ("paused", True, 0, True),
        ("progressing", True, 5, False),
        ("progressing", False, 0, False),  # a Service over both sides: ready pods take their share
    ],
)
def test_a_canary_that_the_rollout_sends_no_traffic_says_so(world, situation, routed, weight, idle):
    scenarios.canary(world.cluster, world.place, situation=situation, routed=routed, weight=weight, step=0)
    steps = [{"setCanaryScale": {"replicas": 2}}, {"setWeight": 20}]
    world.cluster.change(
        "argoproj.io",
        "rollouts",
        "shop",
        "checkout",
        lambda tree: tree["spec"]["strategy"]["canary"].update(steps=steps),
    )
    sides = world.find()
    assert sides.progress.weight == weight
    assert sides.idle == ("rollout checkout sends its canary no traffic (weight 0)" if idle else "")
    assert sides.progress.obstacle == ""
    assert [gap.what for gap in sides.gaps] == (["traffic of the canary"] if idle else [])


def test_blue_green_and_experiments_have_no_weight(world):
    scenarios.blue_green(world.cluster, world.place)
    assert world.find().idle == ""


def test_a_canary_whose_pods_cannot_be_made_says_why(world):
    scenarios.canary(world.cluster, world.place, newest=replace(CANARY, pods=0))

    def full(replica_set):
        condition = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods=4"}
        replica_set["status"]["conditions"] = [condition]

    world.cluster.change("apps", "replicasets", "shop", f"checkout-{CANARY.hash}", full)
    sides = world.find()
    assert (sides.progress.situation, counts(sides)) == ("progressing", (3, 0))
    (gap,) = [gap for gap in sides.gaps if gap.side is Side.CANARY]
    assert gap.what == "canary pods"
    assert "exceeded quota: pods=4" in gap.reason
    assert "kubectl get pods -n shop -l" in gap.hint


def test_a_rollout_that_moved_on_from_the_canary_asked_for(world):
    scenarios.canary(world.cluster, world.place)
    sides = world.find(hashes=Pair(stable="", canary="deadbeef"))
    assert sides.progress.situation == "superseded"
    assert f"moved on from deadbeef to {CANARY.hash}" in sides.progress.obstacle
    assert counts(sides) == (3, 0)


def test_the_hashes_of_the_caller_win(world):
    scenarios.canary(world.cluster, world.place, previous=replace(STABLE, hash="0ld", revision=3))
    sides = world.find(hashes=Pair(stable="0ld", canary=CANARY.hash))
    assert hashes(sides) == ("0ld", CANARY.hash)


def test_a_workload_ref_is_found_by_the_replica_sets(world):
    scenarios.workload_ref(world.cluster, world.place)
    sides = world.find()
    assert (hashes(sides), counts(sides)) == ((STABLE.hash, CANARY.hash), (3, 2))
    assert sides.diff.changes
    (entry,) = world.cluster.asked("replicasets.apps")
    assert entry.query["labelSelector"] == "app=checkout"


@pytest.mark.parametrize("switched", [False, True])
def test_a_workload_ref_in_blue_green_has_both_sides(world, switched):
    """Its status has the selector of the active ReplicaSet, which no pod of the other side matches."""
    scenarios.workload_ref(world.cluster, world.place, make=scenarios.blue_green, switched=switched)
    sides = world.find()
    assert (hashes(sides), counts(sides)) == ((STABLE.hash, CANARY.hash), (3, 2))
    assert sides.diff.changes


@pytest.mark.parametrize(
    ("switched", "kind", "services"),
    [
        (False, "PrePromotion", Pair(stable="checkout-active", canary="checkout-preview")),
        (True, "PostPromotion", Pair(stable="", canary="checkout-active")),
    ],
)
def test_blue_green_before_and_after_the_switch(world, switched, kind, services):
    rollout = scenarios.blue_green(world.cluster, world.place, switched=switched)
    scenarios.analysis_run(world.cluster, world.place, rollout, kind=kind, age_s=120.0, name="run")
    sides = world.find("run", TargetKind.ANALYSIS_RUN)
    assert (sides.scope.rollout.name, hashes(sides)) == ("checkout", (STABLE.hash, CANARY.hash))
    assert (sides.progress.strategy, sides.progress.weight, sides.progress.obstacle) == ("blueGreen", None, "")
    assert sides.scope.services == services
    after_switch = sides.scope.window.start == NOW - timedelta(seconds=90)
    assert after_switch is switched
    assert ("active service was switched" in sides.progress.window_basis) is switched
    assert [gap.what for gap in sides.gaps] == ["traffic of the stable side"] * switched


def test_blue_green_that_is_promoted(world):
    scenarios.blue_green(world.cluster, world.place, switched=True, situation="promoted")
    sides = world.find()
    assert (sides.progress.situation, sides.scope.pods.canary) == ("promoted", ())


@pytest.mark.parametrize("kind", ["Step", "Background"])
def test_an_analysis_run_leads_to_its_rollout(world, kind):
    rollout = scenarios.canary(world.cluster, world.place)
    scenarios.analysis_run(world.cluster, world.place, rollout, kind=kind, name="run")
    sides = world.find("run", TargetKind.ANALYSIS_RUN)
    assert (sides.scope.rollout.name, hashes(sides), counts(sides)) == (
        "checkout",
        (STABLE.hash, CANARY.hash),
        (3, 2),
    )


def test_the_window_of_an_analysis_that_is_over_ends_with_it(world):
    rollout = scenarios.canary(world.cluster, world.place)
    scenarios.analysis_run(world.cluster, world.place, rollout, name="run", phase="Failed")
    ended = NOW - timedelta(seconds=100)
    world.cluster.change(
        "argoproj.io",
        "analysisruns",
        "shop",
        "run",
        lambda run: run["status"].update(completedAt=f"{ended:%Y-%m-%dT%H:%M:%SZ}"),
    )
    assert world.find("run", TargetKind.ANALYSIS_RUN).scope.window.end == ended


def test_pods_that_were_replaced_after_an_analysis_are_in_the_way_of_judging_it(world):
    rollout = scenarios.canary(world.cluster, world.place, newest=replace(CANARY, age_s=60.0))
    scenarios.analysis_run(world.cluster, world.place, rollout, name="run", phase="Failed")
    ended = f"{NOW - timedelta(seconds=100):%Y-%m-%dT%H:%M:%SZ}"
    world.cluster.change(
        "argoproj.io", "analysisruns", "shop", "run", lambda run: run["status"].update(completedAt=ended)
    )
    sides = world.find("run", TargetKind.ANALYSIS_RUN)
    assert sides.progress.obstacle.startswith("the analysis was over before the canary of now took traffic")
    (early,) = (gap for gap in sides.gaps if gap.what == "time of the canary under traffic")
    assert "ask about the rollout itself" in early.hint


@pytest.mark.parametrize("names", [("baseline", "canary"), ("stable", "experiment"), ("canary", "whatever")])
def test_an_experiment_is_told_by_the_names_of_its_templates(world, names):
    swapped = names == ("canary", "whatever")
    scenarios.experiment(world.cluster, world.place, names=names)
    sides = world.find("checkout-experiment", TargetKind.EXPERIMENT)
    expected = (BASELINE.hash, TRIED.hash)
    assert hashes(sides) == (expected[::-1] if swapped else expected)
    assert counts(sides) == (2, 2)
    assert (sides.progress.strategy, sides.progress.situation) == ("experiment", "running")
    assert sides.diff.changes


def test_an_experiment_of_a_step_is_told_by_what_its_templates_were_made_from(world):
    rollout = scenarios.canary(world.cluster, world.place)
    step = {"experiment": {"templates": [{"name": "a", "specRef": "canary"}, {"name": "b", "specRef": "stable"}]}}
    world.cluster.change(
        "argoproj.io",
        "rollouts",
        "shop",
        "checkout",
        lambda tree: tree["spec"]["strategy"]["canary"]["steps"].append(step),
    )
    experiment = scenarios.experiment(
        world.cluster, world.place, owner=rollout, names=("b", "a"), baseline=BASELINE, newest=TRIED
    )
    scenarios.analysis_run(world.cluster, world.place, experiment, kind="", name="run")
    sides = world.find("run", TargetKind.ANALYSIS_RUN)
    assert (sides.scope.rollout.name, hashes(sides)) == ("checkout", (BASELINE.hash, TRIED.hash))


def test_a_template_that_two_steps_make_from_different_sides_is_not_known(world):
    rollout = scenarios.canary(world.cluster, world.place)
    steps = [
        {"experiment": {"templates": [{"name": "a", "specRef": first}, {"name": "b", "specRef": second}]}}
        for first, second in (("stable", "canary"), ("canary", "stable"))
    ]
    world.cluster.change(
        "argoproj.io",
        "rollouts",
        "shop",
        "checkout",
        lambda tree: tree["spec"]["strategy"]["canary"]["steps"].extend(steps),
    )
    scenarios.experiment(world.cluster, world.place, owner=rollout, names=("a", "b"))
    sides = world.find("checkout-experiment", TargetKind.EXPERIMENT)
    assert sides.scope.rollout.canary_hash == ""
    assert any("none is known to be the canary" in gap.reason for gap in sides.gaps)


def test_an_experiment_with_a_canary_only_is_held_against_the_rollouts_stable_pods(world):
    rollout = scenarios.canary(world.cluster, world.place)
    experiment = scenarios.experiment(world.cluster, world.place, owner=rollout)
    world.cluster.change(
        "argoproj.io",
        "experiments",
        "shop",
        experiment["metadata"]["name"],
        lambda tree: tree["spec"]["templates"].pop(0),
    )
    sides = world.find("checkout-experiment", TargetKind.EXPERIMENT)
    assert (hashes(sides), counts(sides)) == ((STABLE.hash, TRIED.hash), (3, 2))


def test_an_experiment_that_is_over_promotes_nothing(world):
    scenarios.experiment(world.cluster, world.place, phase="Successful")
    sides = world.find("checkout-experiment", TargetKind.EXPERIMENT)
    assert (sides.progress.situation, sides.progress.obstacle[:10]) == ("over", "experiment")


def test_templates_of_which_none_is_known_to_be_a_side(world):
    scenarios.experiment(world.cluster, world.place, names=("left", "right"))
    sides = world.find("checkout-experiment", TargetKind.EXPERIMENT)
    assert counts(sides) == (0, 0)
    assert {gap.side for gap in sides.gaps if "call the templates baseline and canary" in gap.hint} == set(Side)


def test_a_deployment_by_its_two_newest_revisions(world):
    older = replace(STABLE, hash="01d", revision=3)
    scenarios.deployment(world.cluster, world.place, older=older)
    sides = world.find(kind=TargetKind.DEPLOYMENT)
    assert (hashes(sides), counts(sides)) == ((STABLE.hash, CANARY.hash), (3, 2))
    assert (sides.progress.strategy, sides.progress.situation) == ("deployment", "progressing")


def test_a_deployment_that_is_rolled_out_or_new(world):
    scenarios.deployment(world.cluster, world.place, stable=replace(STABLE, pods=0))
    rolled = world.find(kind=TargetKind.DEPLOYMENT)
    assert (rolled.progress.situation, counts(rolled)) == ("promoted", (0, 2))
    assert "no pod of an older revision runs" in rolled.progress.obstacle


@pytest.mark.parametrize("between", [replace(CANARY, pods=0), replace(CANARY, pods=1, fares="not-ready")])
def test_a_deployment_is_held_against_the_revision_that_serves(world, between):
    """The one between was given up before it served: two broken revisions alike would look well."""
    place = replace(world.place, hash_label="pod-template-hash")
    newest = replace(CANARY, hash="cccccc", revision=13, pods=1)
    tree = scenarios.deployment(world.cluster, world.place, newest=newest)
    scenarios.add_side(world.cluster, place, between, tree)
    sides = world.find(kind=TargetKind.DEPLOYMENT)
    assert (hashes(sides), counts(sides)) == ((STABLE.hash, "cccccc"), (3, 1))
    assert (sides.progress.situation, sides.progress.obstacle) == ("progressing", "")


def test_a_deployment_of_which_no_older_revision_is_ready_is_held_against_one_that_runs(world):
    newest, gone = replace(CANARY, hash="cccccc", revision=13), replace(CANARY, pods=0)
    tree = scenarios.deployment(world.cluster, world.place, stable=replace(STABLE, fares="not-ready"), newest=newest)
    scenarios.add_side(world.cluster, replace(world.place, hash_label="pod-template-hash"), gone, tree)
    sides = world.find(kind=TargetKind.DEPLOYMENT)
    assert (hashes(sides), sides.progress.situation) == ((STABLE.hash, "cccccc"), "progressing")


@pytest.mark.parametrize("answer", ["403", "503", "wrong shape"])
def test_a_deployment_whose_replica_sets_cannot_be_read_is_no_first_revision(world, answer):
    scenarios.deployment(world.cluster, world.place)
    world.cluster.fail(Fault(resource="replicasets.apps", answer=ANSWERS[answer]))
    sides = world.find(kind=TargetKind.DEPLOYMENT)
    assert (sides.progress.situation, counts(sides)) == ("unknown", (0, 0))
    assert sides.progress.obstacle == "the ReplicaSets of deployment checkout could not be read"
    (cause,) = (gap for gap in sides.gaps if gap.what.startswith("ReplicaSets"))
    (diff,) = (gap for gap in sides.gaps if gap.source is SourceKind.DIFF)
    assert cause.hint
    assert diff.hint == cause.hint


def test_the_first_revision_of_a_deployment(world):
    scenarios.deployment(world.cluster, world.place, newest=None)
    assert world.find(kind=TargetKind.DEPLOYMENT).progress.situation == "first revision"


def test_label_selectors_name_the_sides_outright(world):
    rollout = scenarios.canary(world.cluster, world.place)
    scenarios.analysis_run(world.cluster, world.place, rollout, name="run")
    world.cluster.remove("argoproj.io", "analysisruns", "shop", "run")
    named = Pair(
        stable=f"rollouts-pod-template-hash={STABLE.hash}",
        canary=f"app=checkout,rollouts-pod-template-hash={CANARY.hash}",
    )
    sides = world.find("run", TargetKind.ANALYSIS_RUN, selectors=named)
    assert (sides.progress.strategy, sides.progress.obstacle, counts(sides)) == ("selectors", "", (3, 2))


def test_a_pod_that_both_selectors_name_counts_as_canary(world):
    scenarios.canary(world.cluster, world.place)
    named = Pair(stable="app=checkout", canary=f"rollouts-pod-template-hash={CANARY.hash}")
    sides = world.find(selectors=named)
    assert counts(sides) == (3, 2)
    assert any(gap.what == "two sides apart" for gap in sides.gaps)


OUTRIGHT = Pair(stable=f"rollouts-pod-template-hash={STABLE.hash}", canary=f"rollouts-pod-template-hash={CANARY.hash}")


@pytest.mark.parametrize("answer", ["401", "429", "503", "not json"])
def test_label_selectors_do_not_hide_a_state_that_could_not_be_read(world, answer):
    """It may be aborted, as it is here."""
    scenarios.canary(world.cluster, world.place)
    world.cluster.change(
        "argoproj.io", "rollouts", "shop", "checkout", lambda rollout: rollout["status"].update(abort=True)
    )
    assert world.find(selectors=OUTRIGHT).progress.obstacle == "rollout checkout was aborted"
    world.cluster.fail(Fault(resource="rollouts.argoproj.io", answer=ANSWERS[answer]))
    sides = world.find(selectors=OUTRIGHT)
    assert counts(sides) == (3, 2)
    assert "could not be read" in sides.progress.obstacle
    assert not any("replicasets" in gap.hint for gap in sides.gaps), "nobody asked for them"


def test_label_selectors_need_no_right_to_read_the_rollout(world):
    scenarios.canary(world.cluster, world.place)
    world.cluster.denied.add(("get", "rollouts.argoproj.io"))
    sides = world.find(selectors=OUTRIGHT)
    assert (sides.progress.strategy, sides.progress.obstacle, counts(sides)) == ("selectors", "", (3, 2))
    assert not any("replicasets" in gap.hint for gap in sides.gaps), "nobody asked for them"


def test_label_selectors_that_name_a_sides_own_pods_keep_what_the_rollout_says_of_it(world):
    scenarios.canary(world.cluster, world.place)
    assert world.find(selectors=OUTRIGHT) == world.find()


@pytest.mark.parametrize("selector", ["track=baseline", "track=nobody"])
def test_a_side_of_other_pods_goes_by_them_alone(world, selector):
    """Neither metrics nor the difference are those of the Rollout's own stable side."""
    scenarios.canary(world.cluster, world.place)
    baseline = replace(STABLE, hash="ba5e00", pods=2, labels={"track": "baseline"})
    other = replace(world.place, app="checkout-baseline")
    scenarios.deployment(world.cluster, other, stable=baseline, newest=None)
    sides = world.find(selectors=Pair(stable=selector, canary=""))
    assert hashes(sides) == ("", CANARY.hash)
    assert all(name.startswith("checkout-baseline-") for name in sides.scope.pods.stable)
    assert sides.scope.services == Pair(stable="", canary="checkout-canary")
    assert sides.scope.ingresses == ()
    assert STABLE.hash not in values(sides.scope, Side.STABLE)["pods"]
    assert sides.diff is None


def test_pods_of_another_workload_with_the_same_hash_are_left_out(world):
    scenarios.canary(world.cluster, world.place)
    scenarios.canary(world.cluster, replace(world.place, app="basket"))
    assert counts(world.find()) == (3, 2)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (TargetKind.ROLLOUT, "there is no rollout/gone in namespace shop: kubectl get rollouts.argoproj.io -n shop"),
        (TargetKind.ANALYSIS_RUN, "there is no analysisrun/gone"),
        (TargetKind.EXPERIMENT, "there is no experiment/gone"),
        (TargetKind.DEPLOYMENT, "there is no deployment/gone in namespace shop: kubectl get deployments.apps"),
    ],
)
def test_what_does_not_exist_is_an_error_that_says_what_does(world, kind, told):
    with pytest.raises(TargetError, match=told):
        world.find("gone", kind)


def test_a_cluster_without_argo_rollouts_says_so(world):
    world.cluster.groups_away.add("argoproj.io")
    with pytest.raises(TargetError, match=r"does not know rollouts\.argoproj\.io: install Argo Rollouts"):
        world.find()


def test_an_analysis_run_without_an_owner_needs_selectors(world):
    rollout = scenarios.canary(world.cluster, world.place)
    scenarios.analysis_run(world.cluster, world.place, rollout, name="run")
    world.cluster.change(
        "argoproj.io", "analysisruns", "shop", "run", lambda run: run["metadata"].pop("ownerReferences")
    )
    with pytest.raises(TargetError, match="name them by stableLabel and canaryLabel"):
        world.find("run", TargetKind.ANALYSIS_RUN)


@pytest.mark.parametrize("answer", ["401", "403", "429", "500", "503", "html", "not json"])
def test_a_target_that_cannot_be_read_has_no_pods_and_a_gap(world, answer):
    scenarios.canary(world.cluster, world.place)
    world.cluster.faults.append(Fault(resource="rollouts.argoproj.io", answer=ANSWERS[answer]))
    sides = world.find()
    assert counts(sides) == (0, 0)
    (cause,) = (gap for gap in sides.gaps if gap.what.startswith("rollout/checkout"))
    assert cause.hint
    assert sides.progress.obstacle == f"the state of the rollout could not be read: {cause.reason}"
    assert sides.progress.window_basis.startswith("no canary pod is known")
    assert not any("replicasets" in gap.hint for gap in sides.gaps), "nobody asked for them"


def test_without_the_rollout_the_callers_hashes_still_lead_to_the_pods(world):
    scenarios.canary(world.cluster, world.place)
    world.cluster.denied.add(("get", "rollouts.argoproj.io"))
    sides = world.find(hashes=Pair(stable=STABLE.hash, canary=CANARY.hash))
    assert counts(sides) == (3, 2)
    (gap,) = [gap for gap in sides.gaps if gap.source is SourceKind.KUBERNETES]
    assert gap.hint == (
        "allow the verb get on rollouts in argoproj.io; check with: kubectl auth can-i get rollouts.argoproj.io -n shop "
        "--as=system:serviceaccount:verdict:verdict"
    )


def test_without_the_replica_sets_the_pods_are_found_and_what_changed_is_a_gap(world):
    scenarios.canary(world.cluster, world.place)
    world.cluster.denied.add(("list", "replicasets.apps"))
    sides = world.find()
    assert (counts(sides), sides.diff) == ((3, 2), None)
    assert {gap.source for gap in sides.gaps} == {SourceKind.KUBERNETES, SourceKind.DIFF}
    assert any("kubectl auth can-i list replicasets.apps -n shop" in gap.hint for gap in sides.gaps)


def test_without_the_pods_both_sides_are_empty(world):
    scenarios.canary(world.cluster, world.place)
    world.cluster.denied.add(("list", "pods"))
    sides = world.find()
    assert counts(sides) == (0, 0)
    assert {gap.side for gap in sides.gaps} == set(Side)
    assert all("kubectl auth can-i list pods -n shop" in gap.hint for gap in sides.gaps)


@pytest.mark.parametrize(("seconds", "told"), [(90, r"9[01] s ahead of ours"), (-90, r"(89|90) s behind ours")])
def test_a_skewed_clock_is_corrected_and_told(served, seconds, told):
    world = served(now=lambda: NOW - timedelta(seconds=seconds))
    scenarios.canary(world.cluster, world.place)
    sides = world.find()
    assert abs((sides.scope.window.end - NOW).total_seconds()) <= 1.5
    (gap,) = sides.gaps
    assert re.search(told, gap.reason)


def test_a_canary_that_became_ready_just_now_is_still_warming_up(world):
    scenarios.canary(world.cluster, world.place, newest=replace(CANARY, age_s=15.0))
    sides = world.find()
    assert "still warming up" in sides.progress.obstacle
    assert any("initialDelay" in gap.hint for gap in sides.gaps)


@pytest.mark.parametrize(("age_s", "obstacle"), [(100.0, False), (5.0, True)])
def test_traffic_that_began_with_an_analysis_begins_the_window(world, age_s, obstacle):
    """The canary stood ready and idle before its first weight: nothing of that time says that it is well."""
    rollout = scenarios.canary(world.cluster, world.place, step=3)
    steps = [{"setCanaryScale": {"replicas": 2}}, {"pause": {"duration": "1h"}}, {"setWeight": 25}, {"analysis": {}}]
    world.cluster.change(
        "argoproj.io",
        "rollouts",
        "shop",
        "checkout",
        lambda tree: tree["spec"]["strategy"]["canary"].update(steps=steps),
    )
    scenarios.analysis_run(world.cluster, world.place, rollout, age_s=age_s, name="run")
    sides = world.find("run", TargetKind.ANALYSIS_RUN)
    assert ("its first traffic was sent to it" in sides.progress.obstacle) is obstacle
    if not obstacle:
        assert sides.scope.window.seconds == 70
        assert "its first traffic was sent to it" in sides.progress.window_basis


@pytest.mark.parametrize("run", ["run", "gone", ""])
def test_the_run_that_asks_about_a_rollout_tells_when_the_switch_was(world, run):
    """The service is told of the Rollout and of the run; what was before the switch is no evidence after it."""
    rollout = scenarios.blue_green(world.cluster, world.place, switched=True)
    scenarios.analysis_run(world.cluster, world.place, rollout, kind="PostPromotion", age_s=100.0, name="run")
    sides = world.find(run=run)
    assert ("the active service was switched to it" in sides.progress.window_basis) is (run == "run")


def test_a_run_that_may_not_be_read_is_a_gap(world):
    scenarios.canary(world.cluster, world.place)
    world.cluster.fail(Fault(resource="analysisruns*", answer=ANSWERS["403"]))
    (gap,) = world.find(run="run").gaps
    assert "allow the verb get on analysisruns in argoproj.io" in gap.hint


def test_traffic_that_began_with_a_pause_begins_the_window(world):
    scenarios.canary(world.cluster, world.place, situation="paused", step=1, weight=5)
    sides = world.find()
    assert "its first traffic was sent to it" in sides.progress.window_basis
    assert sides.scope.window.start == NOW - timedelta(seconds=210)


def test_what_the_rollout_says_of_its_traffic_is_handed_on(world):
    scenarios.canary(world.cluster, world.place)

    def edit(rollout):
        canary = rollout["spec"]["strategy"]["canary"]
        canary.update(stableService="checkout-stable", canaryService="checkout-canary")
        canary["trafficRouting"] = {
            "managedRoutes": [{"name": "x"}],
            "nginx": {"stableIngress": "front", "stableIngresses": ["front", "side"]},
            "alb": {"ingress": "lb"},
            "plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "r"}},
        }
        names = {"stableTargetGroup": {"fullName": "tg/s"}, "canaryTargetGroup": {"fullName": "tg/c"}}
        rollout["status"]["alb"] = names

    world.cluster.change("argoproj.io", "rollouts", "shop", "checkout", edit)
    scope = world.find().scope
    assert scope.services == Pair(stable="checkout-stable", canary="checkout-canary")
    assert scope.ingresses == ("front", "side", "lb")
    assert scope.routers == ("nginx", "alb", "argoproj-labs/gatewayAPI")
    assert scope.target_groups == Pair(stable="tg/s", canary="tg/c")


def test_the_same_cluster_makes_the_same_sides(world):
    scenarios.canary(world.cluster, world.place)
    assert world.find() == world.find()
