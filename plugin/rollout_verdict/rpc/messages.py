"""What Argo Rollouts says to a metric provider, and what it wants to hear, as values.

Field names are Go's, as gob has them on the wire: argo-rollouts ``pkg/apis/rollouts/v1alpha1/analysis_types.go``,
``utils/plugin/types/types.go``, ``metricproviders/plugin/rpc/rpc.go``. A field that is missing is zero.
"""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rollout_verdict.rpc.measurer import Owner
from rollout_verdict.wire.gob import Only
from rollout_verdict.wire.gob_encode import TEXT, Opaque, StringMap, Struct
from rollout_verdict.wire.netrpc import FIRST_FREE_TYPE

# Phases of a measurement (analysis_types.go AnalysisPhase).
RUNNING, SUCCESSFUL, FAILED, ERROR, INCONCLUSIVE = "Running", "Successful", "Failed", "Error", "Inconclusive"
FINAL_PHASES = frozenset({SUCCESSFUL, FAILED, ERROR, INCONCLUSIVE})

RPC_ERROR = Struct(type_id=FIRST_FREE_TYPE, name="RpcError", fields=(("ErrorString", TEXT),))
METADATA = StringMap(type_id=FIRST_FREE_TYPE + 1)
_TIME = Opaque(type_id=FIRST_FREE_TYPE + 2, name="Time")
MEASUREMENT = Struct(
    type_id=FIRST_FREE_TYPE + 3,
    name="Measurement",
    fields=(
        ("Phase", TEXT),
        ("Message", TEXT),
        ("StartedAt", _TIME),
        ("FinishedAt", _TIME),
        ("Value", TEXT),
        ("Metadata", METADATA),
        ("ResumeAt", _TIME),
    ),
)

# Shapes: what is read of the arguments. Everything else, pod templates of Job metrics above all, is passed over.
_METRIC = Only(Name=None, Provider=Only(Plugin=None))
_META = Only(Name=None, Namespace=None, UID=None, Annotations=None, Labels=None, OwnerReferences=None)
_SPEC = Only(Args=None, DryRun=None)
_RESULT = Only(Name=None, Count=None, Error=None, DryRun=None)
_RUN = Only(ObjectMeta=_META, Spec=_SPEC, Status=Only(MetricResults=_RESULT))
_OLD_RESULT = Only(Name=None, Measurements=Only(Metadata=None))
_OLD_RUN = Only(ObjectMeta=_META, Status=Only(MetricResults=_OLD_RESULT))

RUN_ARGS = Only(RunArgs=Only(AnalysisRun=_RUN, Metric=_METRIC))
RESUME_ARGS = Only(TerminateAndResumeArgs=Only(AnalysisRun=_RUN, Metric=_METRIC, Measurement=None))
METADATA_ARGS = Only(GetMetadataArgs=Only(Metric=_METRIC))
GARBAGE_ARGS = Only(GarbageCollectArgs=Only(AnalysisRun=_OLD_RUN, Metric=_METRIC, Limit=None))

# rollout/analysis.go and utils/annotations: where Argo writes which revision and which pods a run is about.
_REVISION = "rollout.argoproj.io/revision"
_TEMPLATE_HASH = "rollouts-pod-template-hash"

# time.Time MarshalBinary: version, seconds since year 1, nanoseconds, zone offset in minutes (-1: UTC).
_YEAR_ONE = 62135596800
_TIME_SIZES = {1: 15, 2: 16}
_NO_OFFSET = b"\xff\xff"


class Time(NamedTuple):
    """An instant, UTC, whole nanoseconds since 1970."""

    nanoseconds: int

    def plus(self, seconds: float) -> "Time":
        """Return a later instant."""
        return Time(self.nanoseconds + round(seconds * 1e9))

    def since(self, earlier: "Time") -> float:
        """Return the seconds that passed since ``earlier``."""
        return (self.nanoseconds - earlier.nanoseconds) / 1e9

    def text(self) -> str:
        """Return RFC 3339 with seconds, as Kubernetes writes times."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.nanoseconds // 10**9))

    def marshal(self) -> bytes:
        """Return what Go's time.Time reads."""
        seconds, nanoseconds = divmod(self.nanoseconds, 10**9)
        return (
            b"\x01"
            + (seconds + _YEAR_ONE).to_bytes(8, "big", signed=True)
            + nanoseconds.to_bytes(4, "big")
            + _NO_OFFSET
        )


def unmarshal_time(data: object) -> Time | None:
    """Return the instant in a marshalled time.Time, None for anything else and for Go's zero time."""
    if not isinstance(data, bytes) or not data or len(data) != _TIME_SIZES.get(data[0]):
        return None
    seconds = int.from_bytes(data[1:9], "big", signed=True) - _YEAR_ONE
    nanoseconds = int.from_bytes(data[9:13], "big", signed=True)
    if seconds == -_YEAR_ONE:
        return None
    return Time(seconds * 10**9 + nanoseconds)


def parse_time(text: str) -> Time | None:
    """Return the instant of a text that ``Time.text`` wrote, None for any other text."""
    from datetime import datetime  # not needed while all is well

    try:
        return Time(int(datetime.strptime(text + "+0000", "%Y-%m-%dT%H:%M:%SZ%z").timestamp()) * 10**9)
    except ValueError:
        return None


class AnalysisRun(NamedTuple):
    """What a measurement needs to know of its AnalysisRun.

    ``completed`` counts the finished measurements of each metric, whatever became of them. ``secrets`` are the plain
    values of arguments that come from Secrets: the controller puts them there, nothing of them may leave.
    """

    namespace: str
    name: str
    uid: str
    owner: Owner
    revision: str
    template_hash: str
    arguments: tuple[str, ...]
    secrets: tuple[str, ...]
    completed: Mapping[str, int]
    dry_run: frozenset[str]
    measurement_ids: Mapping[str, tuple[str, ...]]


class Metric(NamedTuple):
    """A metric: its name and the plugin configurations, JSON text by plugin name."""

    name: str
    plugins: Mapping[str, bytes]


class Measurement(NamedTuple):
    """A measurement as Argo keeps it. Times are None when not set."""

    phase: str
    message: str = ""
    value: str = ""
    started_at: Time | None = None
    finished_at: Time | None = None
    resume_at: Time | None = None
    metadata: Mapping[str, str] = MappingProxyType({})

    def fields(self) -> dict[str, Any]:
        """Return the fields for the ``MEASUREMENT`` schema."""
        return {
            "Phase": self.phase,
            "Message": self.message,
            "Value": self.value,
            "Metadata": dict(self.metadata),
            "StartedAt": self.started_at.marshal() if self.started_at else None,
            "FinishedAt": self.finished_at.marshal() if self.finished_at else None,
            "ResumeAt": self.resume_at.marshal() if self.resume_at else None,
        }


def analysis_run(data: Mapping[str, Any], metadata_id: str) -> AnalysisRun | None:
    """Return the AnalysisRun of an argument, None when the controller sent none.

    ``metadata_id`` is the metadata key that holds the ids of measurements.
    """
    run = data.get("AnalysisRun")
    if run is None:
        return None
    meta, spec, status = run.get("ObjectMeta", {}), run.get("Spec", {}), run.get("Status", {})
    arguments = spec.get("Args", ())
    results = status.get("MetricResults", ())
    return AnalysisRun(
        namespace=meta.get("Namespace", ""),
        name=meta.get("Name", ""),
        uid=meta.get("UID", ""),
        owner=_owner(meta.get("OwnerReferences", ())),
        revision=meta.get("Annotations", {}).get(_REVISION, ""),
        template_hash=meta.get("Labels", {}).get(_TEMPLATE_HASH, ""),
        arguments=tuple(argument.get("Name", "") for argument in arguments),
        secrets=tuple(
            argument["Value"]
            for argument in arguments
            if argument.get("Value") and "SecretKeyRef" in argument.get("ValueFrom", {})
        ),
        # Finished measurements count as Count or as Error (utils/analysis, controller currentMeasurements), and both
        # outlive the trimming of old measurements.
        completed={r.get("Name", ""): r.get("Count", 0) + r.get("Error", 0) for r in results},
        dry_run=frozenset(r.get("Name", "") for r in results if r.get("DryRun")),
        measurement_ids={
            r.get("Name", ""): tuple(m.get("Metadata", {}).get(metadata_id, "") for m in r.get("Measurements", ()))
            for r in results
        },
    )


def _owner(references: Any) -> Owner:
    for reference in references:
        if reference.get("Controller") or reference.get("Kind") in ("Rollout", "Experiment"):
            return Owner(kind=reference.get("Kind", ""), name=reference.get("Name", ""), uid=reference.get("UID", ""))
    return Owner()


def metric(data: Mapping[str, Any]) -> Metric:
    """Return the metric of an argument."""
    found = data.get("Metric", {})
    return Metric(name=found.get("Name", ""), plugins=found.get("Provider", {}).get("Plugin", {}))


def measurement(data: Mapping[str, Any]) -> Measurement:
    """Return the measurement of an argument."""
    found = data.get("Measurement", {})
    return Measurement(
        phase=found.get("Phase", ""),
        message=found.get("Message", ""),
        value=found.get("Value", ""),
        started_at=unmarshal_time(found.get("StartedAt")),
        finished_at=unmarshal_time(found.get("FinishedAt")),
        resume_at=unmarshal_time(found.get("ResumeAt")),
        metadata=found.get("Metadata", {}),
    )
