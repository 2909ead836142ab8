"""Values into bytes for the database, and back: JSON throughout, so that nothing stored can ever be code."""

import gzip
import json
from typing import Any, TypeVar

from dbos import Serializer
from dbos._serialization import DBOSDefaultSerializer
from pydantic import TypeAdapter
from pydantic_core import to_json

from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.ports import Judgement
from rollout_verdict.core.result import Result
from rollout_verdict.core.stage import Stage
from rollout_verdict.jobs.analysis import Gathered, Request, Summary

T = TypeVar("T")

LEVEL = 3  # of compression: a third of the time of the usual 6 for a tenth more room

REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
SUMMARY: TypeAdapter[Summary] = TypeAdapter(Summary)
STAGES: TypeAdapter[tuple[Stage, ...]] = TypeAdapter(tuple[Stage, ...])
EVIDENCE: TypeAdapter[Evidence] = TypeAdapter(Evidence)
GATHERED: TypeAdapter[Gathered] = TypeAdapter(Gathered)
RESULT: TypeAdapter[Result] = TypeAdapter(Result)
JUDGEMENT: TypeAdapter[Judgement] = TypeAdapter(Judgement)


def text_of(value: Any) -> str:
    """Return a value as JSON text. Unbounded floats, as intervals have, are kept."""
    return to_json(value, inf_nan_mode="constants").decode()


def value_of(kind: TypeAdapter[T], text: str) -> T:
    """Return the value that ``text_of`` wrote. Raises ValueError for anything else."""
    return kind.validate_json(text, strict=True)


def packed(value: Any) -> bytes:
    """Return a value compressed."""
    return gzip.compress(to_json(value, inf_nan_mode="constants"), LEVEL, mtime=0)


def unpacked(kind: TypeAdapter[T], content: bytes) -> T:
    """Return the value that ``packed`` packed. Raises ValueError for anything else."""
    return kind.validate_json(gzip.decompress(content), strict=True)


class Json(Serializer):
    """How DBOS writes its own records of us: ids, and what steps return.

    Its usual way, pickle, would run what it reads.
    Exceptions, which only ever stand for broken machinery here, keep the name of their type.
    """

    def serialize(self, data: Any) -> str:
        """Return data as JSON. Raises TypeError for what has no such form."""
        if isinstance(data, BaseException):
            return json.dumps({"exception": type(data).__name__})
        return json.dumps(data, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        """Return the data of a JSON text."""
        data = json.loads(serialized_data)
        if isinstance(data, dict) and data.keys() == {"exception"}:
            return RuntimeError(f"a step broke ({data['exception']})")
        return data

    def name(self) -> str:
        """Return what the records say they are written in."""
        return "json"


def refuse_pickle() -> None:
    """Have DBOS read no pickle in this process: it would for any record that says it is one, whoever wrote that."""
    DBOSDefaultSerializer.deserialize = _refused  # type: ignore[assignment,method-assign]  # there is no setting for it


def _refused(_: str) -> Any:
    raise ValueError("a record is a pickle, which this service neither writes nor reads")
