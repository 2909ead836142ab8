"""Hostile packing: nothing leads out of a bundle, nothing is read without a bound."""

import gzip
import io
import os
import tarfile
import zlib
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollout_verdict.adapters.bundle.files import (
    DEFAULT_LIMITS,
    MIB,
    BundleError,
    open_files,
    read_document,
    read_log,
)


def member(name, content=b"{}", **attributes):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


def archive(path, *members, tar_format=tarfile.PAX_FORMAT):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tar_format) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(raw.getvalue(), mtime=0))
    return path


def names(path, limits=DEFAULT_LIMITS):
    with open_files(path, limits) as files:
        return {name: file.read_bytes() for name, file in files.items()}


def test_a_folder_and_its_archive_hold_the_same_files(tmp_path):
    folder = tmp_path / "case"
    (folder / "logs/canary/pod").mkdir(parents=True)
    (folder / "logs/canary/pod/app.log").write_bytes(b"x\n")
    (folder / "case.json").write_bytes(b"{}")
    (folder / "unrelated").write_bytes(b"not part of a bundle")
    plain = archive(
        tmp_path / "a.tar.gz", member("case.json"), member("logs/canary/pod/app.log", b"x\n"), member("./other", b"y")
    )
    topped = archive(tmp_path / "b.tgz", member("top/case.json"), member("top/logs/canary/pod/app.log", b"x\n"))
    expected = {"case.json": b"{}", "logs/canary/pod/app.log": b"x\n"}
    assert names(folder) == names(topped) == expected
    assert names(plain) == {**expected, "other": b"y"}


def test_an_archive_of_logs_alone_keeps_its_logs_folder(tmp_path):
    packed = archive(tmp_path / "a.tar.gz", member("logs/canary/pod/app.log", b"x\n"))
    assert list(names(packed)) == ["logs/canary/pod/app.log"]


def test_the_temporary_folder_is_gone_afterwards(tmp_path):
    with open_files(archive(tmp_path / "a.tar.gz", member("case.json"))) as files:
        (file,) = files.values()
        assert file.exists()
    assert not file.exists()


HOSTILE_MEMBERS = {
    "absolute": (member("/etc/passwd"), "leads out of the bundle"),
    "upwards": (member("logs/../../x"), "leads out of the bundle"),
    "backslashes": (member("logs\\..\\x"), "leads out of the bundle"),
    "symbolic link": (member("case.json", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "link, device or sparse"),
    "hard link": (member("case.json", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd"), "link, device or sparse"),
    "device": (member("case.json", b"", type=tarfile.CHRTYPE), "link, device or sparse"),
    "pipe": (member("case.json", b"", type=tarfile.FIFOTYPE), "link, device or sparse"),
    "unknown type": (member("case.json", b"", type=b"Z"), "link, device or sparse"),
    "negative size": (member("case.json", b"", pax_headers={"size": "-600"}), "not a readable"),
}


@pytest.mark.parametrize("kind", HOSTILE_MEMBERS)
def test_a_member_that_is_no_plain_file_inside_is_refused(tmp_path, kind):
    hostile, said = HOSTILE_MEMBERS[kind]
    path = archive(tmp_path / "a.tar.gz", member("metrics.json"), hostile)
    with pytest.raises(BundleError, match=said) as error:
        names(path)
    assert "a.tar.gz" in str(error.value)


def test_a_member_that_occurs_twice_is_refused(tmp_path):
    path = archive(tmp_path / "a.tar.gz", member("case.json"), member("./case.json", b"[]"))
    with pytest.raises(BundleError, match=r"'case\.json' occurs twice"):
        names(path)


def test_too_many_members_are_refused(tmp_path):
    path = archive(tmp_path / "a.tar.gz", *(member(f"f{n}", b"") for n in range(6)))
    assert len(names(path, replace(DEFAULT_LIMITS, members=6))) == 6
    with pytest.raises(BundleError, match="more than 5 members"):
        names(path, replace(DEFAULT_LIMITS, members=5))


def test_a_gzip_bomb_is_refused_before_it_fills_the_disk(tmp_path):
    path = archive(tmp_path / "a.tar.gz", member("case.json", bytes(8 * MIB)))
    limits = replace(DEFAULT_LIMITS, ratio_grace=MIB)
    with pytest.raises(BundleError, match="as only a gzip bomb does"):
        names(path, limits)
    with pytest.raises(BundleError, match="unpacks to more than 4 MiB"):
        names(path, replace(DEFAULT_LIMITS, archive_bytes=4 * MIB))


def test_headers_are_bounded(tmp_path):
    long_name = archive(tmp_path / "a.tar.gz", member("x" * (2 * MIB)), tar_format=tarfile.GNU_FORMAT)
    comment = archive(tmp_path / "b.tar.gz", member("x", pax_headers={"comment": os.urandom(MIB).hex()}))
    for path in (long_name, comment):
        with pytest.raises(BundleError, match="headers of a member are larger than 1024 KiB"):
            names(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a gzip file"),
        (b"PK\x03\x04", "not a gzip file"),
        (b"\x1f\x8b", "not a readable"),
        (gzip.compress(b"no tar at all"), "not a readable"),
        (gzip.compress(b""), "not a readable"),
        (b"\x1f\x8b" + b"\xff" * 400, "not a readable"),
    ],
)
def test_what_is_no_archive_is_said_to_be_none(tmp_path, content, said):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=said):
        names(path)


def test_a_cut_or_damaged_archive_is_refused(tmp_path):
    path = archive(tmp_path / "a.tar.gz", *(member(f"{n}.json", os.urandom(3000)) for n in range(9)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="not a readable"):
        names(path)
    tar = bytearray(zlib.decompress(whole, 31))
    tar[7168 : 7168 + 512] = b"\xff" * 512  # the third header
    path.write_bytes(gzip.compress(bytes(tar)))
    with pytest.raises(BundleError, match="a damaged header"):
        names(path)
    path.write_bytes(whole[:-8] + b"\0" * 8)
    with pytest.raises(BundleError, match="not a readable"):
        names(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 10_239), st.integers(0, 255)), max_size=12),
    st.integers(0, 10_240),
)
def test_any_damage_gives_files_or_a_bundle_error(tmp_path, changes, cut):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in (member("case.json"), member("ü" * 150, b"abc", pax_headers={"mtime": "1.5"})):
            tar.addfile(info, io.BytesIO(content))
    damaged = bytearray(raw.getvalue())
    for position, value in changes:
        damaged[position % 3000] = value
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(bytes(damaged[:cut] if cut < 9000 else damaged), 1))
    with suppress(BundleError):
        names(path)


@pytest.mark.parametrize("place", ["case.json", "logs", "logs/canary", "logs/canary/pod", "logs/canary/pod/app.log"])
def test_links_in_a_folder_are_refused(tmp_path, place):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret")
    link = tmp_path / "bundle" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(secret / "file" if "." in place else secret)
    with pytest.raises(BundleError, match="links are not followed"):
        names(tmp_path / "bundle")


def test_a_pipe_in_a_folder_is_refused_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "metrics.json")
    with pytest.raises(BundleError, match=r"metrics\.json: expected a regular file"):
        names(tmp_path)


def test_a_folder_with_too_much_in_it_is_refused(tmp_path):
    (tmp_path / "logs/canary/pod").mkdir(parents=True)
    for n in range(5):
        (tmp_path / f"logs/canary/pod/{n}.log").touch()
    assert len(names(tmp_path, replace(DEFAULT_LIMITS, members=7))) == 5
    with pytest.raises(BundleError, match="more than 6 files and folders"):
        names(tmp_path, replace(DEFAULT_LIMITS, members=6))


def test_what_does_not_exist_is_said_not_to(tmp_path):
    with pytest.raises(BundleError, match="nowhere: does not exist"):
        names(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleError, match="pipe: is neither a folder nor a file"):
        names(tmp_path / "pipe")


def test_a_document_is_bounded(tmp_path):
    (tmp_path / "case.json").write_bytes(b"\xef\xbb\xbf{}")
    (tmp_path / "metrics.json").write_bytes(bytes(2 * MIB))
    with open_files(tmp_path) as files:
        assert read_document(files, "case.json") == b"{}"
        assert read_document(files, "diff.json") is None
        with pytest.raises(BundleError, match=r"metrics\.json: larger than 1 MiB; cut it"):
            read_document(files, "metrics.json", replace(DEFAULT_LIMITS, document_bytes=MIB))


def read(path, limits=DEFAULT_LIMITS):
    """Return what was read and why reading stopped, "" when it did not."""
    got = bytearray()
    try:
        for chunk in read_log(path, limits):
            got += chunk
    except BundleError as error:
        return bytes(got), str(error)
    return bytes(got), ""


def test_logs_are_read_packed_and_plain(tmp_path):
    content = os.urandom(600_000)
    (tmp_path / "a.log").write_bytes(content)
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(content[:1000]) + gzip.compress(content[1000:]))
    assert read(tmp_path / "a.log") == read(tmp_path / "a.log.gz") == (content, "")


def test_a_cut_log_keeps_what_was_read(tmp_path):
    content = os.urandom(600_000)
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(content)[:400_000])
    got, problem = read(tmp_path / "a.log.gz")
    assert content.startswith(got)
    assert len(got) > 300_000
    assert "broken after" in problem


def test_a_log_that_is_no_gzip_is_broken(tmp_path):
    (tmp_path / "a.log.gz").write_bytes(b"plain text")
    assert read(tmp_path / "a.log.gz") == (b"", "broken after 0 bytes (not a gzip file)")


def test_a_log_bomb_stops_at_its_bound(tmp_path):
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(bytes(16 * MIB)))
    got, problem = read(tmp_path / "a.log.gz", replace(DEFAULT_LIMITS, ratio_grace=MIB))
    assert len(got) <= 5 * MIB
    assert "gzip bomb" in problem
    got, problem = read(tmp_path / "a.log.gz", replace(DEFAULT_LIMITS, log_bytes=2 * MIB))
    assert len(got) <= 2 * MIB
    assert problem == "longer than 2 MiB"
