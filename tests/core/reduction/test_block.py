"""Blocks of whole lines."""

from rollout_verdict.core.reduction.block import Block, Run
from rollout_verdict.core.reduction.lines import LineReader, ReducePolicy

STAMP = b"2026-11-23T10:00:05.123456789Z"
LATER = b"2026-11-23T10:00:06.123456789Z"


def block(data: bytes, *, stamped: bool, before: bytes = b"") -> Block:
    return LineReader(ReducePolicy()).block(data, stamped=stamped, before=before)


def lines(block: Block) -> list[tuple[bytes, bytes, int]]:
    return [(block.stamp(index), block.text(index), block.size(index)) for index in range(len(block.read))]


def test_texts_are_cut_out_of_the_data():
    """Wherever they stand; there is no time to tell."""
    found = block(b"a 1\n\nbb 22", stamped=False)
    assert lines(found) == [(b"", b"a 1", 3), (b"", b"", 0), (b"", b"bb 22", 5)]
    assert (found.slot(1), found.runs()) == (None, [])


def test_stamps_are_taken_off():
    """The kubelet's form as it stands, any other after it was made so; the rest is the text."""
    for data in (STAMP + b" a 1\n" + STAMP + b" b", STAMP + b" a 1\nb"):
        found = block(data, stamped=True)
        assert lines(found) == [(STAMP, b"a 1", 3), (STAMP, b"b", 1)]
        assert found.runs() == [Run(STAMP[:19], 0, 2)]
    assert block(b"a\n" + LATER + b" b", stamped=True, before=STAMP).runs() == [
        Run(STAMP[:19], 0, 1),
        Run(LATER[:19], 1, 2),
    ]


def test_lines_are_dropped():
    """What is kept keeps its stamp; lines of one second that meet are one run."""
    stamps = [STAMP, STAMP, LATER, STAMP, STAMP]
    found = block(b"\n".join(stamp + b" line %d" % index for index, stamp in enumerate(stamps)), stamped=True)
    found.keep([(1, 2), (3, 5)])
    assert lines(found) == [(STAMP, b"line 1", 6), (STAMP, b"line 3", 6), (STAMP, b"line 4", 6)]
    assert found.runs() == [Run(STAMP[:19], 0, 3)]
    found.keep([])
    assert (lines(found), found.runs()) == ([], [])
