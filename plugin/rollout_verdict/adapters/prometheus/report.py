"""What a person is told of presets and queries that gave nothing, or less than they seem to. Pure."""

from rollout_verdict.adapters.prometheus.catalogue import Preset
from rollout_verdict.adapters.prometheus.probe import Flag, Probed
from rollout_verdict.adapters.prometheus.trouble import TroubleError
from rollout_verdict.core.values import Gap, Side, SourceKind


def of_preset(probed: Probed) -> Gap:
    """Return the gap that stands for a preset that is not ok."""
    return gap(what(probed.preset), f"{probed.flag.value}: {probed.reason}", hint_for(probed), probed.side)


def what(preset: Preset) -> str:
    """Return what a preset's metrics are called in a gap."""
    return f"metrics of preset {preset.name}"


def hint_for(probed: Probed) -> str:
    """Return what to do about a preset that is not ok."""
    preset = probed.preset
    return {
        Flag.ABSENT: preset.absent,
        Flag.NOT_SEPARABLE: preset.inseparable,
        Flag.INSUFFICIENT: "send the canary more requests, lengthen the window, or set prometheus.minimumRequests",
        Flag.DELAYED: "let the step before the analysis last longer, or use metrics of the application or of a mesh",
        Flag.SATURATED: "give the histogram buckets with higher bounds",
    }.get(probed.flag, "")


def of_trouble(subject: str, trouble: TroubleError, side: Side | None = None) -> Gap:
    """Return the gap that stands for requests that failed."""
    return gap(subject, str(trouble), trouble.treatment.hint, side)


def gap(subject: str, reason: str, hint: str = "", side: Side | None = None) -> Gap:
    """Return a gap of this source."""
    return Gap(source=SourceKind.METRICS, what=subject, reason=reason, hint=hint, side=side)
