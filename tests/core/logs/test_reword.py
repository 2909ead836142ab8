"""Pairing of old and new wordings."""

from rollout_verdict.core.evidence import Level
from rollout_verdict.core.logs.reword import Candidate, likeness, pair_rewordings, similarity, words
from tests.core.log_builders import pattern


def old(template, rate=1.0, **more):
    return Candidate(pattern=pattern(template, (5, 5), (0,), **more), rate=rate)


def new(template, rate=1.0, **more):
    return Candidate(pattern=pattern(template, (0, 0), (5,), **more), rate=rate)


def paired(vanished, fresh):
    return [(a.template, b.template) for a, b in pair_rewordings(vanished, fresh, 0.7, 500)]


def test_words_of_a_template():
    """Holes, numbers, single letters and the envelope of a log format are no words; camelCase is taken apart."""
    assert words('level=info msg="orderShipped <*> in 3 ms x"') == {"order", "shipped", "in", "ms"}


def test_similarity():
    """Jaccard of the words; nothing is like nothing."""
    assert similarity(frozenset("abc"), frozenset("abd")) == 0.5
    assert similarity(frozenset(), frozenset()) == 0.0


def test_containment_counts_with_three_words():
    """A format that adds keys keeps the words; two words in common are no sign."""
    assert likeness(frozenset("abc"), frozenset("abcdefgh")) == 0.85
    assert likeness(frozenset("ab"), frozenset("abcdefgh")) == 0.25


def test_one_word_changed_is_a_rewording():
    """Four of five words agree."""
    assert paired([old("payment of <*> was accepted today")], [new("payment of <*> was accepted now today")]) == [
        ("payment of <*> was accepted today", "payment of <*> was accepted now today")
    ]


def test_success_turned_failure_is_none():
    """An error does not pair with an everyday message, nor 5xx with 2xx."""
    assert not paired([old("charge card of user")], [new("charge card of user", level=Level.ERROR)])
    assert not paired([old("GET /cart items", status="2xx")], [new("GET /cart items", status="5xx")])


def test_each_message_pairs_once():
    """The most alike go together first; the rest stays."""
    found = paired(
        [old("user profile page loaded fast"), old("user profile page loaded very fast")],
        [new("user profile page loaded very fast now"), new("nothing alike at all")],
    )
    assert found == [("user profile page loaded very fast", "user profile page loaded very fast now")]


def test_order_does_not_matter():
    """Candidates may come in any order."""
    a, b = old("cache entry written to disk"), old("cache entry read from disk")
    x, y = new("cache entry written onto disk"), new("cache entry read off disk")
    assert paired([a, b], [x, y]) == paired([b, a], [y, x])


def test_only_the_most_frequent_take_part():
    """The work is bounded: of 3 messages a side the rarest is left out when 2 may take part."""
    names = ("cart checkout payment", "stock reservation warehouse", "email receipt customer")
    vanished = [old(f"{name} saved", rate=3.0 - n) for n, name in enumerate(names)]
    fresh = [new(f"{name} saved now", rate=3.0 - n) for n, name in enumerate(names)]
    told = [a.template for a, _ in pair_rewordings(vanished, fresh, 0.7, 2)]
    assert told == [f"{name} saved" for name in names[:2]]
