"""The files of a bundle, whichever way it is packed: found, guarded and bounded before anybody reads them."""

import gzip
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import BinaryIO

MIB = 1 << 20
BLOCK = 64 << 10  # what is copied or skipped at a time; any small number does
CHUNK = 256 << 10  # what the log reducer gets at a time
GZIP_MAGIC = b"\x1f\x8b"
DOCUMENTS = (
    "case.json", "metrics.json", "kubernetes.json", "diff.json",
    "evidence.json", "prompt.txt", "reply.json", "result.json",
)  # fmt: skip
NO_LINKS = "links are not followed, since they may lead anywhere: copy what they point to"
LOG_FILE = re.compile(r"logs/(stable|canary)/([^/]+)/([^/]+)\.log(\.gz)?", re.DOTALL)


class BundleError(ValueError):
    """A bundle that cannot be read or written. The text names file and key, what was expected and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a foreign bundle is read. Each default is far above what a real one holds."""

    document_bytes: int = 16 * MIB  # one JSON file, some 30 times that in memory; 40 metrics of 100 pods take 12 MiB
    log_bytes: int = 4096 * MIB  # one log file, unpacked: minutes of reading, never memory, since logs are streamed
    archive_bytes: int = 4096 * MIB  # all members of an archive, unpacked: the room needed in the temporary folder
    header_bytes: int = MIB  # the headers of one archive member; tarfile reads them into memory
    members: int = 20_000  # members of an archive, files below logs/: thousands of pods with some containers each
    log_files: int = 4_000  # log files that are read; the reducer keeps a table for each pod
    logs_bytes: int = 65_536 * MIB  # all that are read, unpacked: an hour of reading
    logs_s: float = inf  # for reading them; whoever has only themselves to wait for may wait
    ratio: int = 250  # bytes out for each byte in; logs reach 10 to 50, deflate allows 1,032
    ratio_grace: int = 64 * MIB  # below this much output a ratio proves nothing (one line repeated packs very well)


DEFAULT_LIMITS = Limits()


@contextmanager
def open_files(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[dict[str, Path]]:
    """Give the bundle's regular files by their name inside it, sorted.

    ``path`` is a folder or a .tar.gz, which is unpacked into a temporary folder for as long as the context lasts. A
    single top folder in the archive is taken off. Raises BundleError for links, devices, paths that lead out,
    members that occur twice and anything beyond the limits.
    """
    if path.is_dir():
        yield dict(sorted(_folder_files(path, limits)))
    elif path.is_file():
        with TemporaryDirectory(prefix="rollout-verdict-") as folder:
            yield dict(sorted(_without_top(_unpack(path, Path(folder), limits)).items()))
    else:
        what = "is neither a folder nor a file" if path.exists() else "does not exist"
        raise BundleError(f"{path}: {what}; expected a bundle: a folder or a .tar.gz")


def read_document(files: dict[str, Path], name: str, limits: Limits = DEFAULT_LIMITS) -> bytes | None:
    """Return the bytes of a small file, None when the bundle has none. Raises BundleError beyond the limit."""
    if name not in files:
        return None
    try:
        with files[name].open("rb") as stream:
            content = stream.read(limits.document_bytes + 1)
    except OSError as error:
        raise BundleError(f"{name}: cannot be read ({_why(error)})") from error
    if len(content) > limits.document_bytes:
        raise BundleError(
            f"{name}: larger than {limits.document_bytes // MIB} MiB; cut it to the window that is judged"
        )
    return content.removeprefix(b"\xef\xbb\xbf")


def read_log(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[bytes]:
    """Yield the unpacked bytes of a log file, packed when its name ends in .gz.

    Raises BundleError with the reason when reading must stop early; what was yielded before stands.
    """
    packed = path.name.endswith(".gz")
    read = 0
    try:
        size = path.stat().st_size
        allowed = min(limits.log_bytes, max(limits.ratio_grace, limits.ratio * size)) if packed else limits.log_bytes
        opener = gzip.open if packed else open
        with opener(path, "rb") as stream:
            while chunk := stream.read1(CHUNK):
                read += len(chunk)
                if read > allowed:
                    raise BundleError(_too_much(read, allowed, limits))
                yield chunk
    except (OSError, EOFError, zlib.error) as error:
        raise BundleError(f"broken after {read} bytes ({_why(error)})") from error


def _too_much(read: int, allowed: int, limits: Limits) -> str:
    if allowed == limits.log_bytes:
        return f"longer than {limits.log_bytes // MIB} MiB"
    return f"unpacks to more than {limits.ratio} times its size, as only a gzip bomb does; stopped at {read // MIB} MiB"


def _why(error: Exception) -> str:
    """Say what went wrong without the path, which the message has already or which is a temporary one."""
    if isinstance(error, gzip.BadGzipFile):  # its text is Python's and quotes the file
        return "not a gzip file"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _folder_files(root: Path, limits: Limits) -> Iterator[tuple[str, Path]]:
    """Find the documents and everything below ``logs/``; nothing else in the folder is looked at."""
    for name in DOCUMENTS:
        if os.path.lexists(root / name):
            yield name, _regular(root / name, name)
    pending = ["logs"] if os.path.lexists(root / "logs") else []
    seen = 0
    while pending:
        folder = pending.pop()
        if (root / folder).is_symlink() or not (root / folder).is_dir():
            raise BundleError(f"{folder}: expected a folder; {NO_LINKS}")
        try:
            names = sorted(entry.name for entry in (root / folder).iterdir())
        except OSError as error:
            raise BundleError(f"{folder}: cannot be listed ({_why(error)})") from error
        seen += len(names)
        if seen > limits.members:
            raise BundleError(f"{folder}: more than {limits.members} files and folders below logs/")
        for name in names:
            inner = f"{folder}/{name}"
            if folder.count("/") < 2 and (root / inner).is_dir():  # logs/SIDE, logs/SIDE/POD
                pending.append(inner)
            else:
                yield inner, _regular(root / inner, inner)


def _regular(path: Path, name: str) -> Path:
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{name}: expected a regular file; {NO_LINKS}")
    return path


def _unpack(archive: Path, folder: Path, limits: Limits) -> dict[str, Path]:
    """Copy the regular members into ``folder`` under plain numbers, so that no foreign name reaches the disk."""
    files: dict[str, Path] = {}
    try:
        with archive.open("rb") as packed:
            if packed.read(2) != GZIP_MAGIC:
                raise BundleError(f"{archive}: not a gzip file; expected a bundle: a folder or a .tar.gz")
            packed.seek(0)
            stream = _Guarded(packed, archive, limits)
            with tarfile.open(fileobj=stream, mode="r:") as tar:  # type: ignore[call-overload]
                for count in range(limits.members + 1):
                    stream.allowance = limits.header_bytes
                    member = tar.next()
                    tar.members = []  # tarfile remembers every member; we need none of them again
                    if member is None:
                        stream.finish()
                        break
                    if count == limits.members:
                        raise BundleError(f"{archive}: more than {limits.members} members")
                    name = _member_name(archive, member)
                    if member.isdir():
                        continue
                    if name in files:
                        raise BundleError(f"{archive}: member {name!r} occurs twice; which one counts is not known")
                    stream.allowance = member.size + BLOCK
                    files[name] = folder / f"{count:06d}{'.gz' if name.endswith('.gz') else ''}"
                    _copy(tar, member, files[name])
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{archive}: not a readable .tar.gz ({_why(error)}); pack the bundle again") from error
    return files


def _member_name(archive: Path, member: tarfile.TarInfo) -> str:
    """Return the member's path inside the bundle. Raises BundleError for what is no plain file or folder in it."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name or "\\" in member.name:
        raise BundleError(f"{archive}: member {member.name[:200]!r} leads out of the bundle; pack it again without it")
    if not (member.isdir() or (member.isreg() and not member.issparse())):
        raise BundleError(
            f"{archive}: member {member.name[:200]!r} is a link, device or sparse file; "
            "a bundle holds regular files and folders only"
        )
    return str(path)


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    if source is None:  # unreachable for a regular member; tarfile's type allows it
        raise tarfile.ReadError(f"{member.name!r} has no content")
    left = member.size
    with target.open("xb") as out:
        while left > 0:
            block = source.read(min(BLOCK, left))
            if not block:
                raise EOFError("the archive ends inside a member")
            out.write(block)
            left -= len(block)


def _without_top(files: dict[str, Path]) -> dict[str, Path]:
    """Take off the one folder that ``tar czf bundle.tar.gz bundle`` puts around everything."""
    tops = {name.split("/", 1)[0] for name in files}
    if len(tops) != 1 or any("/" not in name for name in files) or tops == {"logs"}:
        return files
    return {name.split("/", 1)[1]: path for name, path in files.items()}


class _Guarded:
    """The unpacked bytes of an archive for tarfile: forward only, each step within an allowance.

    tarfile reads headers (long names, pax records, sparse maps) into memory whatever size they claim; the allowance,
    set before each step, bounds that. The totals bound the archive as a whole.
    """

    def __init__(self, packed: BinaryIO, archive: Path, limits: Limits) -> None:
        self._stream = gzip.GzipFile(fileobj=packed, mode="rb")
        self._archive = archive
        self._limits = limits
        size = os.fstat(packed.fileno()).st_size
        self._total = min(limits.archive_bytes, max(limits.ratio_grace, limits.ratio * size))
        self._at = 0
        self._last = b""
        self.allowance = limits.header_bytes

    def tell(self) -> int:
        return self._at

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, less at the end. Raises BundleError beyond the allowance or the totals."""
        self.allowance -= size
        if size < 0 or self.allowance < 0:
            limit = self._limits.header_bytes // 1024
            raise BundleError(
                f"{self._archive}: the headers of a member are larger than {limit} KiB; pack the bundle again"
            )
        return self._take(size)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Skip forward to ``position``, counting what is skipped."""
        if whence != os.SEEK_SET or position < self._at:
            raise tarfile.ReadError("the archive asks to go backwards")
        while self._at < position and self._take(min(BLOCK, position - self._at)):
            pass
        return self._at

    def finish(self) -> None:
        """Read to the end, so that checksum and totals hold. Raises ReadError unless a block of zeros ended it.

        tarfile takes a damaged header for the end of the archive.
        """
        if self._last.strip(b"\0"):
            raise tarfile.ReadError("a damaged header")
        while self._take(BLOCK):
            pass

    def _take(self, size: int) -> bytes:
        block = self._stream.read(size)
        self._at += len(block)
        self._last = block
        if self._at > self._total:
            raise BundleError(
                f"{self._archive}: unpacks to more than {self._total // MIB} MiB, as only a gzip bomb does; "
                "leave out what is not part of the bundle"
            )
        return block
