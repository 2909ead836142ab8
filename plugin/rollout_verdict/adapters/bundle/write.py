"""What was measured and judged, onto disk, so that it can be judged again."""

import gzip
import os
import tarfile
from io import BytesIO
from pathlib import Path

from rollout_verdict.adapters.bundle.files import BundleError
from rollout_verdict.core.canonical import canonical, plain
from rollout_verdict.core.evidence import Evidence
from rollout_verdict.core.result import Result

BESIDE = ("evidence", "prompt", "reply")  # parts of a result with a file of their own


def write_bundle(path: Path, record: Evidence | Result) -> None:
    """Write evidence, or a result with its evidence, as a folder or, when the name ends so, as a .tar.gz or .tgz.

    The same record makes the same bytes. ``evidence.json`` is the canonical form: its sha256 is the evidence digest.
    A folder may be an existing bundle; the raw parts in it stay as they are. Raises BundleError when it cannot be
    written, and leaves no half-written file.
    """
    documents = _documents(record)
    try:
        if path.name.endswith((".tar.gz", ".tgz")):
            _replace(path, _archive(documents))
            return
        path.mkdir(parents=True, exist_ok=True)
        for name in ("evidence.json", "prompt.txt", "reply.json", "result.json"):
            if name in documents:
                _replace(path / name, documents[name])
            else:  # of an earlier judgement; kept, it would pass for this one's
                (path / name).unlink(missing_ok=True)
    except OSError as error:
        raise BundleError(f"{path}: cannot be written ({error.strerror}); choose another place") from error


def packed_bundle(record: Evidence | Result) -> bytes:
    """Return the bytes of the .tar.gz that ``write_bundle`` would write."""
    return _archive(_documents(record))


def _documents(record: Evidence | Result) -> dict[str, bytes]:
    if isinstance(record, Evidence):
        return {"evidence.json": canonical(record)}
    tree = plain(record, unbounded=True)
    documents = {
        "evidence.json": canonical(record.evidence),
        "prompt.txt": plain(record.prompt).encode(),
        "reply.json": plain(record.reply).encode(),
        "result.json": canonical({name: value for name, value in tree.items() if name not in BESIDE}),
    }
    return {name: content for name, content in documents.items() if content}


def _archive(documents: dict[str, bytes]) -> bytes:
    """Pack without anything that differs between two runs: no times, no owners, sorted."""
    packed = BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, content in sorted(documents.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
    return packed.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write beside the target and rename, so that a reader never meets half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
