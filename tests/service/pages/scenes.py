"""Analyses of every kind in the memory of a service, for the pages to show."""

from dataclasses import replace
from datetime import timedelta

from rollout_verdict.core.stage import Stage
from rollout_verdict.core.values import Decision
from rollout_verdict.jobs.analysis import Analysis, Phase, Request, Summary
from tests.render import results
from tests.service.memory import BEGAN

PROMPT = "You judge a canary.\n<evidence-0f1e>\n[m1] http_error_ratio high\n</evidence-0f1e>\n" * 40
REPLY = '{"decision": "rollback", "confidence": 92, "summary": "payments is called on another port"}'
HISTORY = (
    Decision.PROMOTE,
    Decision.PROMOTE,
    Decision.INCONCLUSIVE,
    Decision.PROMOTE,
    Decision.ROLLBACK,
    Decision.PROMOTE,
)
REASONS = {
    Decision.PROMOTE: "nothing differs that counts: 14 metrics and 48 log messages as on stable",
    Decision.ROLLBACK: "http_error_ratio: 25.0% of requests fail, 1.0% on stable",
    Decision.INCONCLUSIVE: "too few requests on the canary to tell: 40, wanted are 200",
}


def keep(services, result, *, name="checkout", namespace="shop", id="full", minutes=3, origin="plugin", took_s=4.2):
    """Keep a result as an analysis that is done."""
    verdict, usage = result.verdict, result.usage
    created = BEGAN - timedelta(minutes=minutes)
    summary = Summary(
        decision=verdict.decision,
        score=verdict.score,
        confidence=verdict.confidence,
        decided_by=verdict.decided_by.value,
        reason=verdict.reason,
        headline=result.explanation.headline,
        digest=verdict.digests.evidence,
        model=usage.model,
        tokens=usage.prompt_tokens + usage.output_tokens + usage.thought_tokens,
        cost_usd=usage.cost_usd,
        gaps=len(verdict.gaps),
    )
    analysis = Analysis(
        request=Request(id=id, namespace=namespace, name=name, origin=origin, asked_by="argo", revision="12"),
        phase=Phase.DONE,
        created=created,
        started=created + timedelta(seconds=0.3),
        finished=created + timedelta(seconds=0.3 + took_s),
        summary=summary,
    )
    services.analyses.kept[id] = analysis
    services.analyses.results[id] = result
    return id


def fill(services, words=results.as_it_is):
    """Keep analyses of every phase and verdict, each text from outside passed by ``words``; returns their ids."""
    kept = services.analyses.kept
    for index, decision in enumerate(HISTORY):
        result = results.result(words, decision=decision)
        verdict = replace(
            result.verdict, reason=words(REASONS[decision]), score={"p": 96, "r": 12, "i": 50}[decision.value[0]]
        )
        keep(
            services,
            replace(result, verdict=verdict),
            id=f"old{index}",
            name=words("checkout"),
            minutes=9_000 - 1_400 * index,
        )
    cancelled = Request(id="cancelled", namespace="shop", name=words("cart"), origin="api", asked_by=words("viewer"))
    kept["cancelled"] = Analysis(request=cancelled, phase=Phase.CANCELLED, created=BEGAN - timedelta(minutes=50))
    broken = Request(id="error", namespace="payments", name=words("ledger"), origin="web", asked_by="argo")
    kept["error"] = Analysis(
        request=broken,
        phase=Phase.ERROR,
        created=BEGAN - timedelta(minutes=42),
        started=BEGAN - timedelta(minutes=42),
        finished=BEGAN - timedelta(minutes=41),
        message=words("no pods match rollouts-pod-template-hash=7d4cc1 in namespace payments: give the selectors"),
    )
    rules = results.result(words, decision=Decision.PROMOTE)
    digests = replace(rules.verdict.digests, prompt="", reply="")
    verdict = replace(
        rules.verdict,
        reason=words(REASONS[Decision.PROMOTE]),
        opinions=rules.verdict.opinions[:1],
        score=96,
        digests=digests,
    )
    usage = replace(
        rules.usage, attempts=0, prompt_tokens=0, output_tokens=0, thought_tokens=0, cost_usd=None, model=""
    )
    keep(
        services, replace(rules, verdict=verdict, usage=usage), id="promote", name=words("cart"), minutes=30, took_s=0.4
    )
    keep(services, results.bare(), id="bare", name="", namespace="", minutes=20, origin="page", took_s=0.2)
    asked = replace(results.result(words), prompt=words(PROMPT), reply=words(REPLY))
    keep(services, asked, id="rollback", name=words("checkout"), minutes=3)
    running = Request(
        id="running", namespace="shop", name=words("search"), origin="api", asked_by="argo", revision=words("7")
    )
    kept["running"] = Analysis(
        request=running,
        phase=Phase.RUNNING,
        created=BEGAN - timedelta(seconds=9),
        started=BEGAN - timedelta(seconds=8),
        stages=(
            Stage(name="metrics", done=5, total=7),
            Stage(name=words("logs canary"), done=2, total=2, note=words("1.2 MB, 48 templates")),
            Stage(name="logs stable", done=1, total=3, note="0.8 MB"),
            Stage(name="model"),
        ),
    )
    queued = Request(id="queued", namespace="shop", name="recommendations", origin="plugin", asked_by="argo")
    kept["queued"] = Analysis(request=queued, phase=Phase.QUEUED, created=BEGAN - timedelta(seconds=2))
    return {name: name for name in ("rollback", "promote", "running", "queued", "error", "cancelled", "bare", "old0")}
