"""The single file: launcher, tree as a gzip'd tar, trailer. The same tree gives the same bytes."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

_MAGIC = b"RVERDICT"
_ID_DIGITS = 24
_LEVEL = 9


def payload(tree: Path) -> bytes:
    """Return the tree as a gzip'd ustar: sorted, without times, owners or any mode but 0755 and 0644."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=_LEVEL, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for path in sorted(tree.rglob("*")):
            member = tarfile.TarInfo(path.relative_to(tree).as_posix())
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            if path.is_dir():
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            elif path.is_file() and not path.is_symlink():
                member.size = path.stat().st_size
                with path.open("rb") as content:
                    tar.addfile(member, content)
            else:
                raise SystemExit(f"{path} is neither file nor folder: the launcher takes nothing else")
    return packed.getvalue()


def single_file(launcher: bytes, packed: bytes) -> bytes:
    """Return launcher + payload + trailer, as launch.c reads them."""
    name = hashlib.sha256(packed).hexdigest()[:_ID_DIGITS].encode()
    trailer = len(launcher).to_bytes(8, "little") + len(packed).to_bytes(8, "little") + name + _MAGIC
    return launcher + packed + trailer
