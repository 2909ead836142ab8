"""The gob decoder: messages, descriptions of types, values in pieces. Go's own bytes where they are known."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout_verdict.wire import gob, gob_readers, gob_types
from rollout_verdict.wire.errors import BadValueError, RemoteProtocolError
from rollout_verdict.wire.gob import NEED_DATA, NOTHING, Decoder, Named, Only
from tests.rpc import gob_client as c
from tests.wire import golden as gold
from tests.wire.golden import golden


def decoded(data, only=None, size=0):
    """Return all values in ``data``, fed in pieces of ``size`` bytes (0: whole)."""
    decoder = Decoder()
    found = []
    for start in range(0, len(data), size or len(data) or 1):
        decoder.receive_data(data[start : start + (size or len(data))])
        while (value := decoder.next_value(only)) is not NEED_DATA:
            found.append(value)
    return found


def broken(data):
    """Return the error that ends a stream, after the values before it."""
    decoder = Decoder()
    decoder.receive_data(data)
    try:
        while decoder.next_value() is not NEED_DATA:
            pass
    except RemoteProtocolError as error:
        return error
    raise AssertionError("nothing was found wrong")


# Go's bytes


def test_the_point_of_gobs_documentation():
    assert decoded(gold.POINT) == [{"X": 22, "Y": 33}]


def test_requests_as_go_sends_them():
    assert decoded(gold.INIT_REQUEST + gold.TYPE_REQUEST) == [
        {"ServiceMethod": "Plugin.InitPlugin"},
        None,
        {"ServiceMethod": "Plugin.Type", "Seq": 1},
        None,
    ]


def test_replies_as_go_sends_them():
    stream = gold.RESPONSE_TYPE + gold.TYPE_RESPONSE + gold.TYPE_BODY + gold.EMPTY_TYPE + gold.EMPTY_BODY
    assert decoded(stream) == [{"ServiceMethod": "Plugin.Type", "Seq": 1}, "RPCPlugin", {}]
    assert decoded(gold.DISPENSE_BODY + gold.PING_BODY) == [1, True]
    assert decoded(gold.MAP_TYPE + gold.MAP_BODY + golden("04 ff88 00 00")) == [{"a": "b"}, {}]


def test_a_time_is_bytes_whatever_its_type_is_called():
    named = golden('10 ff81 05 01 01 04 "Time" 01 ff82 00 00 00')
    nameless = golden("0b ff85 05 01 02 ff84 00 00 00")  # and with the id of another type inside
    stream = named + golden("13 ff82 00 0f") + gold.TIME + nameless[:0]
    assert decoded(stream) == [gold.TIME]
    stream = golden("0a ff85 05 01 02 ff84 00 00 00") + golden("13 ff86 00 0f") + gold.TIME
    assert decoded(stream) == [gold.TIME]


def test_a_description_may_be_followed_by_its_value_much_later():
    assert decoded(gold.METADATA_START) == []
    rest = golden('16 ff93 03 01 01 06 "Metric" 01 ff94 00 01 01 01 04 "Name" 01 0c 00 00 00')
    rest = golden('1f ff93 03 01 01 06 "Metric" 01 ff94 00 01 01 01 04 "Name" 01 0c 00 00 00')[:0] + rest
    value = golden('09 ff92 06 01 01 01 "m" 00 00')
    size = len(rest) - 1
    stream = gold.METADATA_START + bytes([size]) + rest[1:] + value
    assert decoded(stream) == [Named("GetMetadataArgs", {"Metric": {"Name": "m"}})]
    assert decoded(stream, size=1) == decoded(stream)


# The stream


def test_the_first_user_type_may_be_64():
    assert decoded(gold.REQUEST_TYPE + gold.INIT_HEADER) == [{"ServiceMethod": "Plugin.InitPlugin"}]


@pytest.mark.parametrize("type_id", [16, 23, 63])
def test_ids_of_gob_itself_cannot_be_described(type_id):
    content = c.sint(-type_id) + c.GobClient(type_id).wire_type(c.record("X"))
    assert "reserved" in str(broken(bytes([len(content)]) + content))


def test_a_type_is_described_once():
    assert "described twice" in str(broken(gold.REQUEST_TYPE + gold.REQUEST_TYPE))


def test_a_broken_stream_stays_broken():
    decoder = Decoder()
    decoder.receive_data(gold.REQUEST_TYPE + gold.REQUEST_TYPE + gold.INIT_HEADER)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="described twice"):
            decoder.next_value()


def test_types_are_bounded(monkeypatch):
    monkeypatch.setattr(gob, "MAX_TYPES", len(gob_types.BUILTIN_TYPES) + 1)
    second = golden('10 ff87 05 01 01 04 "Time" 01 ff88 00 00 00')
    assert "more than" in str(broken(gold.REQUEST_TYPE + second))


@pytest.mark.parametrize(
    "content", ["ff81", "ff81 03 01 01 05", "ff81 03 01 01 04 50", "ff81 03 01 01 05 50 6f 69 6e"], ids=len
)
def test_a_description_that_is_cut_off_breaks_the_stream(content):
    content = golden(content)
    assert "cut off" in str(broken(bytes([len(content)]) + content))


def test_a_description_of_no_kind_breaks_the_stream():
    assert "0 kinds" in str(broken(golden("03 ff81 00")))


def test_a_description_of_two_kinds_breaks_the_stream():
    two = golden("ff81 01 01 02 ff82 00 00 01 01 02 ff82 00 00 00")
    assert "2 kinds" in str(broken(bytes([len(two)]) + two))


def test_a_description_with_a_field_gob_does_not_have_breaks_the_stream():
    assert "description of type 65: field 8" in str(broken(golden("04 ff81 09 00")))


def test_bytes_after_a_description_break_the_stream():
    content = gold.REQUEST_TYPE[1:] + b"\0"
    assert "extra bytes" in str(broken(bytes([len(content)]) + content))


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("fc 01000001", "16777217 bytes"),
        ("f8 ffffffffffffffff", "bytes"),
        ("f7 00", "length of 9 bytes"),
        ("80", "128 bytes"),
    ],
)
def test_a_message_that_is_too_long_is_refused_at_its_length(head, told):
    assert told in str(broken(golden(head)))


def test_values_before_a_bad_length_are_delivered():
    decoder = Decoder()
    decoder.receive_data(gold.POINT + golden("80"))
    assert decoder.next_value() == {"X": 22, "Y": 33}
    decoder.receive_data(gold.POINT)
    with pytest.raises(RemoteProtocolError, match="length"):
        decoder.next_value()


def test_an_empty_message_is_a_bad_value():
    with pytest.raises(BadValueError):
        decoded(b"\0")


def test_after_a_bad_value_the_stream_goes_on():
    decoder = Decoder()
    decoder.receive_data(gold.POINT + golden("03 ff82 05") + golden("07 ff82 01 2c 01 42 00"))
    assert decoder.next_value() == {"X": 22, "Y": 33}
    with pytest.raises(BadValueError, match="field 4 of a struct of 2"):
        decoder.next_value()
    assert decoder.next_value() == {"X": 22, "Y": 33}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("02 ff82", "runs past the end"),  # a struct without its end
        ("04 ff82 01 ff", "runs past the end"),
        ("06 ff82 01 2c 00 00", "1 bytes too many"),
        ("03 0c 00 05", "runs past the end"),  # a string of five bytes that are not there
        ("03 0c 01 00", "zero byte"),
        ("04 ff90 00 00", "type 72, which was never described"),
        ("02 00 00", "type 0, which was never described"),
        ("0b 06 00 f7 010203040506070809"[:2] + "0b 06 00 f7 0102030405060708"[2:], "9 bytes"),
    ],
)
def test_a_value_that_contradicts_its_type(message, told):
    decoder = Decoder()
    decoder.receive_data(gold.POINT + golden(message))
    decoder.next_value()
    with pytest.raises(BadValueError, match=told):
        decoder.next_value()


# Values in pieces: interfaces that bring their types along

INNER = c.record("Inner", Name=c.STRING_T, When=c.TIME)
OUTER = c.record("Outer", A=c.INTERFACE_T, B=c.INTERFACE_T, Names=c.slice_of(c.STRING_T))
BOX = c.record("Box", Content=c.INTERFACE_T, Size=c.INT_T)
TREE = {
    "A": c.Iface("Inner", INNER, {"Name": "n", "When": gold.TIME}),
    "B": c.Iface("Box", BOX, {"Content": c.Iface("Time", c.TIME, gold.TIME), "Size": -300}),
    "Names": ["x", ""],
}
TREE_VALUE = {
    "A": Named("Inner", {"Name": "n", "When": gold.TIME}),
    "B": Named("Box", {"Content": Named("Time", gold.TIME), "Size": -300}),
    "Names": ["x", ""],
}


def tree_stream(first_id=64):
    client = c.GobClient(first_id)
    return client.encode(OUTER, TREE) + client.encode(c.INTERFACE_T, c.Iface("Outer", OUTER, TREE))


def test_interfaces_in_structs_in_interfaces():
    assert decoded(tree_stream()) == [TREE_VALUE, Named("Outer", TREE_VALUE)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_values_in_pieces_in_any_pieces(size):
    assert decoded(tree_stream(), size=size) == decoded(tree_stream())


def test_a_nested_interface_whose_types_go_between_its_pieces():
    """The inner encoder joins its pieces by byte counts inside the outer one's buffer (encodeInterface, pushWriter)."""
    client = c.GobClient()
    deep = c.record("Deep", Leaf=c.INTERFACE_T)
    inner = c.Iface("Box", BOX, {"Content": c.Iface("Deep", deep, {"Leaf": c.Iface("Inner", INNER, {"Name": "z"})})})
    stream = client.encode(c.INTERFACE_T, c.Iface("Outer", OUTER, {"A": inner}))
    wanted = Named("Outer", {"A": Named("Box", {"Content": Named("Deep", {"Leaf": Named("Inner", {"Name": "z"})})})})
    assert decoded(stream) == [wanted]
    assert decoded(stream, size=1) == [wanted]
    assert decoded(stream + client.encode(c.INTERFACE_T, inner))[1] == wanted.value["A"]


def test_ids_beyond_255():
    assert decoded(tree_stream(first_id=300)) == decoded(tree_stream())


def test_one_type_under_two_ids():
    client = c.GobClient()
    other = c.opaque("")
    pair = c.record("Pair", A=c.TIME, B=other)
    assert decoded(client.encode(pair, {"A": gold.TIME, "B": gold.TIME})) == [{"A": gold.TIME, "B": gold.TIME}]


def test_a_value_in_pieces_is_bounded_as_a_whole(monkeypatch):
    monkeypatch.setattr(gob, "MAX_MESSAGE", 60)
    stream = gold.METADATA_START + bytes([50]) + golden("ff92") + b"\0" * 48
    assert "in pieces" in str(broken(stream))


def test_a_bad_description_inside_a_value_breaks_the_stream():
    content = golden('10 00 01 "X" ff91 00')
    assert "0 kinds" in str(broken(bytes([len(content)]) + content))


def test_every_truncation_is_one_error_or_need_of_data():
    stream = tree_stream()
    whole = decoded(stream)
    for end in range(len(stream)):
        assert decoded(stream[:end]) == whole[: len(decoded(stream[:end]))]


def test_every_truncated_message_raises_the_one_error():
    """Cut the last message and mend its length: the value must be found out, whatever is missing."""
    client = c.GobClient()
    client.encode(OUTER, TREE)
    before = c.GobClient().encode(OUTER, TREE)
    last = client.encode(OUTER, TREE)
    content = last[2:] if last[0] == 255 else last[1:]
    for end in range(1, len(content)):
        cut = content[:end]
        decoder = Decoder()
        decoder.receive_data(before + c.uint(len(cut)) + cut)
        assert decoder.next_value() == TREE_VALUE
        with contextlib.suppress(BadValueError):
            # A piece may end where a name's types would follow: then the rest is awaited.
            assert decoder.next_value() is NEED_DATA


# What is wanted


def test_only_what_is_wanted_is_built():
    client = c.GobClient()
    run = {
        "ObjectMeta": {"Name": "n", "UID": "u", "Labels": {"a": "b"}},
        "Status": {"MetricResults": [{"Name": "m", "Count": 3}]},
    }
    stream = client.encode(c.INTERFACE_T, c.Iface("RunArgs", c.RUN_ARGS, {"AnalysisRun": run, "Metric": {"Name": "m"}}))
    only = Only(RunArgs=Only(AnalysisRun=Only(ObjectMeta=Only(UID=None), Status=Only(MetricResults=Only(Count=None)))))
    assert decoded(stream, only) == [
        Named("RunArgs", {"AnalysisRun": {"ObjectMeta": {"UID": "u"}, "Status": {"MetricResults": [{"Count": 3}]}}})
    ]


def test_an_interface_of_another_type_is_passed_over():
    stream = c.GobClient().encode(c.INTERFACE_T, c.Iface("Inner", INNER, {"Name": "n"}))
    assert decoded(stream, Only(Outer=None)) == [Named("Inner", None)]


EVERY = c.record(
    "Every",
    Yes=c.BOOL_T,
    Int=c.INT_T,
    Uint=c.UINT_T,
    Float=c.FLOAT_T,
    Bytes=c.BYTES_T,
    Text=c.STRING_T,
    Complex=c.COMPLEX_T,
    Any=c.INTERFACE_T,
    Record=INNER,
    List=c.slice_of(INNER),
    Array=c.array_of(c.INT_T, 2),
    Map=c.map_of(c.STRING_T, c.slice_of(c.INT_T)),
    Odd=c.map_of(INNER, c.STRING_T),
    Time=c.TIME,
    Times=c.map_of(c.TIME, c.BOOL_T),
    Last=c.STRING_T,
)


class Pairs(list):
    """A map whose keys Python cannot hash, for the encoder."""

    def items(self):
        return iter(self)


EVERY_VALUE = {
    "Yes": True,
    "Int": -7,
    "Uint": 1 << 63,
    "Float": 1.5,
    "Bytes": b"\0\xff" * 100,
    "Text": "ü" * 100,
    "Complex": 1 - 2j,
    "Any": c.Iface("int", c.INT_T, 5),
    "Record": {"Name": "r"},
    "List": [{"Name": "1"}, {}],
    "Array": [3, 0],
    "Map": {"a": [1, 2], "": []},
    "Odd": Pairs([({"Name": "k"}, "v")]),
    "Time": gold.TIME,
    "Times": {gold.TIME: True},
    "Last": "end",
}


def test_every_kind_of_value():
    (found,) = decoded(c.GobClient().encode(EVERY, EVERY_VALUE))
    assert found == {**EVERY_VALUE, "Any": Named("int", 5), "Odd": (({"Name": "k"}, "v"),)}


def test_every_kind_of_value_is_passed_over_to_the_one_that_is_wanted():
    client = c.GobClient()
    stream = client.encode(EVERY, EVERY_VALUE) + client.encode(EVERY, {"Array": [0, 0], "Last": "again"})
    assert decoded(stream, Only(Last=None)) == [{"Last": "end"}, {"Last": "again"}]
    assert decoded(stream, NOTHING) == [None, None]
    assert decoded(stream, NOTHING, size=1) == [None, None]


@pytest.mark.parametrize("kind", [*EVERY.parts], ids=lambda part: part[0])
def test_a_top_level_value_of_every_kind_can_be_passed_over(kind):
    name, kind = kind
    stream = c.GobClient().encode(kind, EVERY_VALUE[name])
    assert decoded(stream, NOTHING) == [Named("int", None) if name == "Any" else None]
    assert len(decoded(stream)) == 1


def description(type_id, number, *parts):
    """Return a message that describes a type: field ``number`` of wireType, and the parts after its CommonType."""
    content = c.sint(-type_id) + bytes([number]) + b"\x01\x02" + c.sint(type_id) + b"\0" + b"".join(parts) + b"\0\0"
    return c.uint(len(content)) + content


def struct_description(type_id, *fields):
    listed = b"".join(b"\x01" + c.text(name) + b"\x01" + c.sint(part) + b"\0" for name, part in fields)
    return description(type_id, 3, b"\x01" + c.uint(len(fields)) + listed)


def slice_description(type_id, element):
    return description(type_id, 2, b"\x01" + c.sint(element))


def message(type_id, body):
    content = c.sint(type_id) + body
    return c.uint(len(content)) + content


NODE = struct_description(65, ("Next", 65), ("Value", 2))


def chain(length):
    return b"\x01" * length + b"\x02\x02" + b"\0" * length + b"\0"


@pytest.mark.parametrize("only", [None, Only(Next=None), NOTHING, Only(Value=None)])
def test_a_type_that_holds_itself(only):
    (found,) = decoded(NODE + message(65, chain(5)), only)
    if only is None:
        assert found == {"Next": {"Next": {"Next": {"Next": {"Next": {"Value": 1}}}}}}
    elif only.fields.get("Value", 1) is None:
        assert found == {}


@pytest.mark.parametrize("only", [None, NOTHING, Only(Value=None)])
def test_nesting_is_bounded(only):
    stream = NODE + message(65, chain(10_000)) + message(65, chain(1))
    decoder = Decoder()
    decoder.receive_data(stream)
    with pytest.raises(BadValueError, match="nested deeper"):
        decoder.next_value(only)
    assert decoder.next_value(only) is not NEED_DATA, "the bound is counted anew for each value"


def test_descriptions_are_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(gob, "MAX_DESCRIPTIONS", 100)
    one = struct_description(65, ("N" * 40, 2))
    two = struct_description(66, ("N" * 40, 2))
    assert decoded(one) == []
    assert "more than 100 bytes of descriptions" in str(broken(one + two))


@pytest.mark.parametrize("room", [99, 100, 101])
def test_a_description_may_fill_the_room_to_the_last_byte(monkeypatch, room):
    content = struct_description(65, ("N" * 40, 2))
    size = len(content) - 3  # without length and id
    monkeypatch.setattr(gob, "MAX_DESCRIPTIONS", size + room - 100)
    if room < 100:
        assert "bytes of descriptions" in str(broken(content))
    else:
        assert decoded(content + message(65, b"\x01\x02\0")) == [{"N" * 40: 1}]


PARTS = (
    struct_description(65, ("Many", 66), ("Pairs", 67))
    + slice_description(66, 68)
    + description(67, 4, b"\x01" + c.sint(6), b"\x01" + c.sint(68))
)
PARTS += struct_description(68)


@pytest.mark.parametrize(
    "value", [b"\x01\x0b" + b"\0" * 11 + b"\0", b"\x02\x0b" + b"\x01k\0" * 11 + b"\0"], ids=["list", "map"]
)
def test_what_a_value_is_made_into_is_bounded(monkeypatch, value):
    monkeypatch.setattr(gob_readers, "MAX_PARTS", 10)
    decoder = Decoder()
    decoder.receive_data(PARTS + message(65, value) * 2 + message(65, b"\x01\x09" + b"\0" * 9 + b"\0") * 3)
    with pytest.raises(BadValueError, match="more than 10 parts"):
        decoder.next_value()
    assert decoder.next_value(NOTHING) is None, "what is passed over is made into nothing"
    for _ in range(3):
        assert decoder.next_value() == {"Many": [{}] * 9}, "the bound is counted anew for each value"


def test_a_value_in_a_great_many_pieces_is_refused():
    """Each piece has the value read from its start: without a bound that is quadratic."""
    described = struct_description(65, *((f"F{number}", 8) for number in range(2000)))
    piece = message(2, b"\x02\0\x02\x01\x01a")
    assert decoded(described + message(65, b"\x01\x01a") + piece * 200) == []
    assert "too many pieces" in str(broken(described + message(65, b"\x01\x01a") + piece * 1999))


@pytest.mark.parametrize("only", [None, NOTHING])
def test_a_struct_may_end_with_a_zero_of_any_length(only):
    """As in Go, where the end is a zero, however it is written."""
    wanted = [{"Value": 1}] if only is None else [None]
    assert decoded(NODE + message(65, b"\x02\x02\xff\0"), only) == wanted


def ladder(height):
    """Return descriptions of slices of slices, 65 outermost, and the value with one element on each level."""
    described = b"".join(slice_description(65 + n, 66 + n) for n in range(height))
    return described + slice_description(65 + height, 2), b"\0" + b"\x01" * (height + 1) + b"\x02"


@pytest.mark.parametrize("only", [None, NOTHING])
def test_types_may_nest_as_deep_as_values(only):
    described, value = ladder(60)
    (found,) = decoded(described + message(65, value), only)
    for _ in range(61 if only is None else 0):
        (found,) = found
    assert found == (1 if only is None else None)


@pytest.mark.parametrize("only", [None, NOTHING])
def test_types_nested_without_end_are_bounded(only):
    described, value = ladder(3000)
    with pytest.raises(BadValueError, match="nested deeper"):
        decoded(described + message(65, value), only)


@pytest.mark.parametrize("only", [None, NOTHING])
def test_readers_made_from_the_inside_out_are_bounded_too(only):
    """Reading inner types first leaves their readers behind; the outer ones then stand on them."""
    described, _ = ladder(190)
    inner = b"".join(message(65 + n, b"\0\0") for n in range(190, 0, -1))
    values = decoded(described + inner + message(65, b"\0" + b"\x01" * 191 + b"\x02"), only)
    assert len(values) == 191


def test_interfaces_in_interfaces_are_bounded():
    client = c.GobClient()
    value = None
    for _ in range(150):
        value = c.Iface("Box", BOX, {"Content": value})
    with pytest.raises(BadValueError, match="nested deeper"):
        decoded(client.encode(c.INTERFACE_T, value))


def test_interfaces_that_each_bring_a_type_along_are_bounded():
    """Reading a description in the middle of a value must not forget how deep the value is."""
    value = None
    for number in range(120):
        value = c.Iface(f"Box{number}", c.record(f"Box{number}", Content=c.INTERFACE_T), {"Content": value})
    with pytest.raises(BadValueError, match="nested deeper"):
        decoded(c.GobClient().encode(c.INTERFACE_T, value))


@pytest.mark.parametrize("only", [None, NOTHING])
def test_a_part_may_be_described_after_the_whole_but_not_after_its_first_use(only):
    late = struct_description(65, ("Part", 66), ("Value", 2))
    part = slice_description(66, 2)
    empty, full = message(65, b"\0"), message(65, b"\x01\x01\x02\0")
    assert len(decoded(late + empty + part + full, only)) == 2
    decoder = Decoder()
    decoder.receive_data(late + full + part + full)
    with pytest.raises(BadValueError, match="type 66, which was never described"):
        decoder.next_value(only)
    assert decoder.next_value(only) == ({"Part": [1]} if only is None else None)


@pytest.mark.parametrize("only", [None, NOTHING])
@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (slice_description(65, 2) + message(65, b"\0\x05\x02"), "5 elements in the 1 bytes"),
        (slice_description(65, 2) + message(65, b"\0\xfe\xff\xff"), "65535 elements in the 0 bytes"),
        (description(65, 1, b"\x01\x04\x01\x06") + message(65, b"\0\x01\x02"), "1 elements in an array of 3"),
        (description(65, 4, b"\x01\x04\x01\x04") + message(65, b"\0\x02\x02"), "2 elements in the 1 bytes"),
        (struct_description(65) + message(65, b"\x01"), "field 0 of a struct of 0"),
        (struct_description(65, ("A", 2)) + message(65, b"\xff\x80"), "field 127 of a struct of 1"),
        (message(8, b"\0\xfe\x04\x01"), "interface name of 1025 bytes"),
        (message(8, b"\0\x01X\x04\x02\x01\x02"), "must follow a zero byte"),
        (message(8, b"\0\x01X\xff\x90\x02\0\0"), "type 72, which was never described"),
    ],
)
def test_lies_about_numbers(stream, told, only):
    with pytest.raises(BadValueError, match=told):
        decoded(stream, only)


def test_long_field_numbers():
    many = struct_description(65, *((f"F{n}", 2) for n in range(200)))
    stream = many + message(65, b"\xff\xc8\x02\0")
    assert decoded(stream) == [{"F199": 1}]
    assert decoded(stream, NOTHING) == [None]


# Properties

names = st.sampled_from(["A", "B", "C"])
scalars = st.sampled_from([c.BOOL_T, c.INT_T, c.UINT_T, c.STRING_T, c.BYTES_T, c.FLOAT_T, c.INTERFACE_T, c.TIME])
types = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.builds(c.slice_of, inner),
        st.builds(lambda element: c.map_of(c.STRING_T, element), inner),
        st.dictionaries(names, inner, max_size=3).map(lambda fields: c.record("R", **fields)),
    ),
    max_leaves=6,
)


def values_of(kind, draw, depth=0):
    """Draw a value of a type, as the encoder takes it and as the decoder should return it."""
    match kind.kind:
        case "slice":
            pairs = [values_of(kind.parts[0], draw, depth) for _ in range(draw(st.integers(0, 3)))]
            return [p[0] for p in pairs], [p[1] for p in pairs]
        case "map":
            keys = draw(st.lists(st.text(max_size=2), max_size=3, unique=True))
            pairs = {key: values_of(kind.parts[1], draw, depth) for key in keys}
            return {k: p[0] for k, p in pairs.items()}, {k: p[1] for k, p in pairs.items()}
        case "struct":
            pairs = {name: values_of(part, draw, depth) for name, part in kind.parts}
            sent = {k: p[0] for k, p in pairs.items()}
            zero = (None, False, 0, 0.0, "", b"", [])
            kinds = dict(kind.parts)
            got = {
                k: p[1]
                for k, p in pairs.items()
                if kinds[k].kind == "struct" or not any(type(p[0]) is type(z) and p[0] == z for z in zero)
            }
            return sent, got
        case "opaque":
            found = draw(st.binary(min_size=1, max_size=4))
            return found, found
    if kind.basic == c.INTERFACE:
        if depth > 2 or draw(st.booleans()):
            return None, None
        inner = draw(types)
        sent, got = values_of(inner, draw, depth + 1)
        return c.Iface("N", inner, sent), Named("N", got)
    found = draw(
        {
            c.BOOL: st.booleans(),
            c.INT: st.integers(-(1 << 63), (1 << 63) - 1),
            c.UINT: st.integers(0, (1 << 64) - 1),
            c.STRING: st.text(max_size=5),
            c.BYTES: st.binary(max_size=5),
            c.FLOAT: st.floats(allow_nan=False),
        }[kind.basic]
    )
    return found, found


@settings(deadline=None)
@given(st.data())
def test_decoding_undoes_encoding_in_any_split_skipped_or_not(data):
    client = c.GobClient(data.draw(st.sampled_from([64, 65, 120, 250])))
    stream, wanted = b"", []
    for kind in data.draw(st.lists(types, min_size=1, max_size=3)):
        sent, got = values_of(kind, data.draw)
        stream += client.encode(kind, sent)
        wanted.append(got)
    assert decoded(stream) == wanted
    assert decoded(stream, size=data.draw(st.integers(1, 9))) == wanted
    assert len(decoded(stream, NOTHING)) == len(wanted)


def survey(pieces, only):
    """Return everything a stream gives: values and, in their place, errors."""
    decoder = Decoder()
    found = []
    for piece in pieces:
        decoder.receive_data(piece)
    while True:
        try:
            value = decoder.next_value(only)
        except BadValueError as error:
            found.append(str(error))
            continue
        except RemoteProtocolError as error:
            return [*found, str(error)]
        if value is NEED_DATA:
            return found
        found.append(repr(value))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_bytes_give_values_or_the_documented_errors_in_any_split(data):
    stream = bytearray(tree_stream() + c.GobClient(400).encode(EVERY, EVERY_VALUE))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(stream) - 1))
        stream[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    whole = bytes(stream)
    size = data.draw(st.integers(1, 50))
    only = data.draw(st.sampled_from([None, NOTHING, Only(Last=None, A=None)]))
    assert survey([whole], only) == survey([whole[i : i + size] for i in range(0, len(whole), size)], only)
