"""What judging cost, in one line."""

from rollout_verdict.core.quote import visible
from rollout_verdict.core.result import Result


def usage_line(result: Result) -> str:
    """Return model, tokens, cost, redactions and digests as one plain line, safe to show."""
    usage = result.usage
    parts = ["no model call"] if not usage.attempts else [f"model {visible(usage.model, limit=80) or 'unknown'}"]
    if usage.attempts:
        cached = f" ({usage.cached_tokens:,} of them cached)" if usage.cached_tokens else ""
        thought = f" + {usage.thought_tokens:,} thinking" if usage.thought_tokens else ""
        parts.append(f"tokens: {usage.prompt_tokens:,} prompt{cached} + {usage.output_tokens:,} reply{thought}")
        parts.append(f"{usage.attempts} call" + ("s" if usage.attempts != 1 else ""))
        parts.append(
            "cost unknown" if usage.cost_usd is None else f"${usage.cost_usd:.4f} (prices of {usage.price_as_of})"
        )
    if result.redactions:
        parts.append("redacted: " + ", ".join(f"{count} {kind}" for kind, count in result.redactions))
    digests = result.verdict.digests
    parts += [f"{name} {value[:12]}" for name, value in (("evidence", digests.evidence), ("policy", digests.policy))]
    if digests.prompt:
        parts.append(f"prompt {digests.prompt[:12]}")
    return " · ".join(parts)
