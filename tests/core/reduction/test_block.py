"""Blocks of whole lines."""

from rollout_verdict.core.reduction.block import Block

STAMP = b"2026-11-23T10:00:05.123456789Z"


def test_texts_are_cut_out_of_the_data():
    """Names have the lengths of the texts, wherever these stand."""
    block = Block(b"a 1\n\nbb 22", stamped=False)
    assert block.names == [b"a 0", b"", b"bb 00"]
    assert [block.text(index) for index in range(3)] == block.texts(range(3)) == [b"a 1", b"", b"bb 22"]
    assert (block.stamp(1), block.slot(1)) == (b"", None)


def test_stamps_are_taken_off():
    """The kubelet's form as it stands, any other after it was made so; the rest is the text."""
    for data in (STAMP + b" a 1\n" + STAMP + b" b", STAMP + b" a 1\nb"):
        block = Block(data, stamped=True)
        assert block.names == [b"a 0", b"b"]
        assert [(block.stamp(index), block.text(index)) for index in range(2)] == [(STAMP, b"a 1"), (STAMP, b"b")]
        assert block.seconds() == [STAMP[:19]] * 2
    block = Block(b"a\n" + STAMP + b" b", stamped=True, before=STAMP)
    assert block.seconds() == [STAMP[:19]] * 2


def test_lines_are_dropped():
    """What is kept keeps its stamp."""
    block = Block(b"\n".join(STAMP + b" line %d" % index for index in range(5)), stamped=True)
    block.keep([1, 4])
    assert (block.texts((0, 1)), block.stamp(1), block.names) == ([b"line 1", b"line 4"], STAMP, [b"line 0"] * 2)
    block.keep([])
    assert (block.names, block.seconds()) == ([], [])
