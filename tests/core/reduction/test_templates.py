"""Templates: merged on evidence, never over a word that tells an outcome."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout_verdict.core.reduction.templates import MergePolicy, merge, tidy


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("stops [nanjing, wuxi, suzhou] of line", "stops [<*>] of line"),
        ("states [ready, failed, ready]", "states [ready, failed, ready]"),
        ("trip: Trip(id=<*>, start=shanghai, msg=Not Found Here, ok=failed)", "trip: Trip(id=<*>, start=<*>, msg=Not Found Here, ok=failed)"),
        ("call f(x=shanghai)", "call f(x=shanghai)"),
        ("from <*> () at <*>", "from <*> (<*>) at <*>"),
        ("init() ok", "init() ok"),
        ("to db.prod.internal now", "to <*> now"),
        ("to a.b.example:<*> now", "to <*> now"),
        ("rhost=<*>.dsl.example.uk", "rhost=<*>"),
        ("<*>, <*> and <*>/<*>", "<*> and <*>"),
        ("ask to delete blk_<*> blk_<*> blk_<*>", "ask to delete blk_<*>"),
        ("very very long", "very very long"),
        ("reqId=req-no id=abc valid=true request_id=ffaa", "reqId=<*> id=<*> valid=true request_id=<*>"),
    ],
)  # fmt: skip
def test_tidy(text, tidied):
    """Lists, printed objects, hosts and identifiers by key are holes, whatever they hold."""
    assert tidy(text) == tidied


def merged(*texts: str, **policy) -> set[str]:
    return set(merge(texts, MergePolicy(**policy)).values())


@pytest.mark.parametrize(
    ("texts", "templates"),
    [
        # values: two are enough
        (("open /a/b ok", "open /c ok"), {"open <*> ok"}),
        (("mail to a@b sent", "mail to c@d sent"), {"mail to <*> sent"}),
        (("q=tent hits", "q=bag hits"), {"q=<*> hits"}),
        (('q="tent" hits', 'q="bag" hits'), {'q="<*>" hits'}),
        (("blk_<*> gone", "part_<*> gone"), {"<*> gone"}),
        # names and words take more
        (("type: APPLE here", "type: PEAR here"), {"type: APPLE here", "type: PEAR here"}),
        (("type: APPLE here", "type: PEAR here", "type: FIG here"), {"type: <*> here"}),
        (("load a.b.C", "load d.e.F", "load g.h.I"), {"load <*>"}),
        (tuple(f"user {name} went to the shop" for name in ("ann", "bob", "eve")), None),
        (tuple(f"user {name} went to the shop" for name in ("ann", "bob", "eve", "joe")), {"user <*> went to the shop"}),
        (tuple(f"{name} now" for name in ("ann", "bob", "eve", "joe")), None),
        # requests: routes tell
        (tuple(f"GET /{name} <*>" for name in ("a", "b", "c")), None),
        (tuple(f"GET /{chr(97 + n)} <*>" for n in range(20)), {"GET <*>"}),
        # outcomes never go
        (("job=a failed", "job=a succeeded"), None),
        (("state=open x", "state=closed x"), None),
        (("flag=true", "flag=false"), None),
        (tuple(f"{word} the container of the pod" for word in ("Started", "Paused", "Killed", "Created", "Removed")), None),
        (("got java.lang.AError x", "got java.lang.BError x", "got java.lang.CError x"), None),
        # a hole next to nothing is no template
        (("=a", "=b", "=c"), None),
        (("a", "b"), None),
    ],
)  # fmt: skip
def test_merge(texts, templates):
    """Evidence opens holes; too little of it, or a telling word, does not."""
    assert merged(*texts) == (set(texts) if templates is None else templates)


def test_several_values_at_once():
    """Records that differ in several values are one template as soon as there are three."""
    texts = ("put tag=a name=x uid=<*>", "put tag=b name=y uid=<*>", "put tag=c name=z uid=<*>")
    assert merged(*texts) == {"put tag=<*> name=<*> uid=<*>"}
    assert merged(*texts[:2]) == set(texts[:2])


def test_a_single_line_finds_its_template():
    """What fits into an open hole joins it, however rare it is, unless it tells an outcome."""
    texts = ("from=<*> user=a", "from=<*> user=b", "from=host user=c", "from=failed user=c")
    assert merged(*texts) == {"from=<*> user=<*>", "from=failed user=c"}
    assert merged("x <*> of y", "x ab of y") == {"x <*> of y"}


def test_templates_join_templates():
    """A line that fits one template, which in turn fits a wider one, ends up in the widest."""
    assert merged("x ab of cd y", "x <*> of cd y", "x <*> of <*> y") == {"x <*> of <*> y"}


def test_few_passes():
    """Each pass opens one hole; without passes left, texts stay as they are."""
    texts = [f"w/{a} of v/{b} end" for a in "abc" for b in "abc"]
    assert merged(*texts) == {"<*> of <*> end"}
    assert merged(*texts, passes=2) == {"<*> of v/a end", "<*> of v/b end", "<*> of v/c end"}
    assert merged(*texts, passes=0) == set(texts)


def test_long_texts_are_left_alone():
    """A text of too many words is compared as it is."""
    texts = ("a b c /x d", "a b c /y d")
    assert merged(*texts, longest=3) == set(texts)


@given(st.lists(st.text(alphabet="ab<*>=/: x", max_size=16), max_size=12), st.randoms())
def test_order_does_not_matter(texts, rng):
    """The same texts give the same templates, in whatever order and however often they come."""
    shuffled = [*texts, *texts[:3]]
    rng.shuffle(shuffled)
    assert merge(shuffled) == merge(texts)
    assert set(merge(texts)) == set(texts)


def test_merging_twice_in_another_order():
    """A larger set with many combinations comes out the same from any order."""
    rng = random.Random(3)
    texts = [
        f"w{chr(97 + a)} key={chr(98 + b)} /p{chr(99 + c)} end" for a in range(4) for b in range(4) for c in range(4)
    ]
    wanted = merge(texts)
    rng.shuffle(texts)
    assert merge(texts) == wanted
