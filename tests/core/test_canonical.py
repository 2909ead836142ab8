"""The canonical form: one value, one sequence of bytes."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.canonical import CanonicalError, canonical, digest, plain


class Word(StrEnum):
    ONE = "one"


class Number(IntEnum):
    TWO = 2


class Plain(Enum):
    THREE = "three"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    b: float
    a: tuple[int, ...]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b"null"),
        (True, b"true"),
        (3, b"3"),
        (0.1, b"0.1"),
        (1e22, b"1e+22"),
        ("é\n\x00", '"é\\n\\u0000"'.encode()),
        ("a\ud800b", '"a\ufffdb"'.encode()),
        (Word.ONE, b'"one"'),
        (Number.TWO, b"2"),
        (Plain.THREE, b'"three"'),
        (timedelta(minutes=1.5), b"90.0"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), b'"2026-01-02T03:04:05Z"'),
        (
            datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2))),
            b'"2026-01-02T01:04:05.000006Z"',
        ),
        (Leaf(b=1.0, a=(2, 1)), b'{"a":[2,1],"b":1.0}'),
        ({"b": 1, "a": [2]}, b'{"a":[2],"b":1}'),
        (frozenset({"b", "a", "c"}), b'["a","b","c"]'),
    ],
)
def test_every_type_has_one_form(value, expected):
    assert canonical(value) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1.0, math.nan]}, r"a\[1\] must be a finite number, got nan"),
        (math.inf, "the value must be a finite number, got inf"),
        (Leaf(b=-math.inf, a=()), "b must be a finite number, got -inf"),
        ({"t": datetime(2026, 1, 1)}, "t must be an aware time"),  # noqa: DTZ001 -- a naive time is the case
        ({"x": b"bytes"}, "x has no canonical form: bytes"),
        ({"x": Leaf}, "x has no canonical form: type"),
        ({"x": {1: 2}}, "x has a key that is no string: int"),
    ],
)
def test_what_has_no_form_is_refused_by_name(value, said):
    with pytest.raises(CanonicalError, match=said):
        canonical(value)


def test_an_infinite_bound_is_null_where_allowed_and_nan_never_is():
    assert canonical({"low": -math.inf}, unbounded=True) == b'{"low":null}'
    with pytest.raises(CanonicalError):
        canonical(math.nan, unbounded=True)


json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_trees)
def test_json_trees_read_back_as_themselves(tree):
    assert json.loads(canonical(tree)) == tree


@given(st.dictionaries(st.text(), st.integers()), st.randoms())
def test_the_order_of_keys_and_set_members_does_not_matter(mapping, random):
    items = list(mapping.items())
    random.shuffle(items)
    assert digest(dict(items)) == digest(mapping)
    assert canonical(set(items)) == canonical(frozenset(mapping.items()))


@given(st.text(alphabet=st.characters()))
def test_any_string_has_a_form(text):
    assert json.loads(canonical(text)) == plain(text)


def test_the_digest_is_the_same_in_every_process():
    program = "from rollout_verdict.core.canonical import digest; print(digest(frozenset('abcdef')))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": "plugin", "PYTHONHASHSEED": seed},
            cwd=__file__.rsplit("/tests/", 1)[0],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert seen == {digest(frozenset("abcdef")) + "\n"}
