"""Templates: masked texts that differ in one variable word become one, on evidence rather than similarity.

A position becomes a hole when, all other words equal, several different fillers were seen there. Words that tell
an outcome are never such a hole: too many templates cost room, too few hide a regression.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from rollout_verdict.core.reduction.mask import HOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePolicy:
    """How much evidence makes a hole. Counts are of distinct fillers of one position."""

    values: int = 2  # fillers that look like values: they hold a hole, "/", "@" or "\\", or follow "=" or ":"
    names: int = 3  # dotted names, and words after ": "; also records that differ in several values at once
    routes: int = 20  # paths of requests: an interface has few and they tell where it fails, a crawler finds many
    words: int = 4  # plain words: three colours may be three events, more are a variable
    fixed: int = 3  # plain words that must stay around a hole for plain words
    passes: int = 4  # each pass may open one hole more in a text
    longest: int = 160  # words; longer texts are compared as they are


_WORD = re.compile(r" ?(?:(?:<\*>|[^\s=:,;()\[\]{}\"'|<>])+|\S)")
_TELLING = re.compile(
    r"(?i:trace|debug|info\b|notice|warn|err|severe|fatal|crit|panic|fail|exception|succe|ok\b|okay|timeout|timed|time-out"
    r"|refus|reject|den(?:y|ied)|invalid|valid|missing|lost|reset|clos|open|start|stop|paus|resum|kill|crash|abort"
    r"|cancel|expir|exceed|unavail|avail|unreach|disconnect|connect|accept|enabl|disabl|add|remov|delet|creat|updat"
    r"|\bup\b|\bdown\b|\bnot?\b|never|none\b|null\b|retry|health|ready|dead|alive|lock|corrupt|broken|bad|good|pass|\btrue\b|\bfalse\b"
    r"|drop|skip|ignor|complet|finish|done|begin|end(?:ed|ing)?\b|oom|overflow|leak|full|empty|unknown|unable|cannot)"
)
_LETTER = re.compile(r"[A-Za-z]{2}")
_HOLES = re.compile(r"<\*>(?:(?:,? |, ?|[/%#@])<\*>)+")
# The comma stands outside the class, so that there is one way to match: two would be exponential on a list without end.
_LIST = re.compile(r"\[(?:[^\[\]{}()=:,\"]{1,64},)+[^\[\]{}()=:,\"]{1,64}\]")
_OBJECT = re.compile(r"(?<=[\w>])\(([\w.]+=[^()]*)\)")
_FIELD = re.compile(r"([\w.]+=)([^,()=\[\]{}]*)(?=,|\Z)")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"))
_VALUE = re.compile(r"<\*>|[/@\\]")
_NAME = re.compile(r"[\w$<>*]+(?:\.[\w$<>*]+){2,}\Z")
_EMPTY = re.compile(r"(?<= )\(\)(?= |\Z)")
_IDENT = re.compile(
    r"(?<![\w.\-])((?:[\w.\-]*[_.\-]|[\w.\-]*[a-z](?=I))?(?:id|Id|ID|uuid|guid)=)[^\s,;=()\[\]{}\"'<>]+"
)
_DOTTED = re.compile(r"[a-z>]\.[a-z]")
# Host names: several labels and a port, or a well-known last label, or labels after one with a digit.
_HOST = re.compile(
    r"(?<![\w.@/$\-])(?:[a-zA-Z][\w\-]*\.){2,}[a-zA-Z]{2,}:<\*>"
    r"|(?<![\w.\-])(?:[\w\-]+\.)+(?:com|net|org|io|local|internal)(?![\w.])"
    r"|(?<![\w.])<\*>(?:\.[a-z][a-z\-]*){2,}(?![\w.])"
)


def tidy(text: str) -> str:
    """Return a masked text with lists, printed objects and hosts reduced to holes, and runs of holes to one."""
    if "[" in text:
        text = _LIST.sub(_tidy_list, text)
    if "(" in text and "=" in text:
        text = _OBJECT.sub(_tidy_object, text)
    if "()" in text:
        text = _EMPTY.sub(f"({HOLE})", text)
    if _DOTTED.search(text):
        text = _HOST.sub(HOLE, text)
    text = _IDENT.sub(rf"\1{HOLE}", text)
    if text.count(HOLE) < 2:
        return text
    words = _HOLES.sub(HOLE, text).split(" ")
    return _once(words)


def _once(words: list[str]) -> str:
    """Join words, of neighbours that are equal and hold a hole but one."""
    kept = words[:1]
    kept += [word for before, word in pairwise(words) if word != before or HOLE not in word]
    return " ".join(kept)


def _tidy_list(found: re.Match[str]) -> str:
    return found.group() if _TELLING.search(found.group()) else f"[{HOLE}]"


def _tidy_object(found: re.Match[str]) -> str:
    return f"({_FIELD.sub(_tidy_field, found[1])})" if found[1].count("=") > 1 else found.group()


def _tidy_field(found: re.Match[str]) -> str:
    value = found[2].strip()
    return found.group() if not value or " " in value or _TELLING.search(value) else f"{found[1]}{HOLE}"


def merge(texts: Iterable[str], policy: MergePolicy | None = None) -> dict[str, str]:
    """Return the template of each text. The same texts give the same templates, in whatever order they come."""
    rules = policy or MergePolicy()
    words = {text: tuple(_WORD.findall(text)) for text in sorted(set(texts))}
    for step in range(rules.passes):
        opened = _generalise(set(words.values()), rules) if step == 0 else _open(set(words.values()), rules)
        words = {text: opened.get(parts, parts) for text, parts in words.items()}
        taken = _absorb(set(words.values()))
        words = {text: taken.get(parts, parts) for text, parts in words.items()}
        if step and not opened and not taken:
            break
    return {text: _HOLES.sub(HOLE, "".join(parts)) for text, parts in words.items()}


Words = tuple[str, ...]


def _keyed(text: Words, index: int) -> bool:
    """Say whether the word at ``index`` is a value: it follows "key=", "key:" or their opening quote."""
    before = text[index - 1].strip() if index else ""
    if before in ('"', "'") and index > 1:
        before = text[index - 2].strip()
    return before in ("=", ":") and not text[index].startswith(" ")


def _generalise(texts: set[Words], rules: MergePolicy) -> dict[Words, Words]:
    """Open holes in records that differ in the values of several keys at once."""
    shapes: dict[Words, list[Words]] = defaultdict(list)
    for text in sorted(texts):
        request = not _METHODS.isdisjoint(word.strip() for word in text)
        shapes[
            tuple(
                HOLE if _keyed(text, index) and _may_go(word) and not (request and "/" in word) else word
                for index, word in enumerate(text)
            )
        ].append(text)
    opened: dict[Words, Words] = {}
    for shape, members in shapes.items():
        if len(members) < rules.names or not any(_LETTER.search(word) and HOLE not in word for word in shape):
            continue
        same = [len(set(column)) == 1 for column in zip(*members, strict=True)]
        new = tuple(word if kept else HOLE for word, kept in zip(members[0], same, strict=True))
        opened.update(dict.fromkeys(members, new))
    return opened


def _absorb(texts: set[Words]) -> dict[Words, Words]:
    """Return for each text that fits into a template with holes that template: its evidence is already there."""
    forms: dict[int, dict[Words, None]] = defaultdict(dict)
    holes: dict[int, set[tuple[int, ...]]] = defaultdict(set)
    for text in sorted(texts):
        places = tuple(index for index, word in enumerate(text) if word.strip() == HOLE)
        if places:
            forms[len(text)][text] = None
            holes[len(text)].add(places)
    taken: dict[Words, Words] = {}
    for text in sorted(texts):
        for places in sorted(holes[len(text)], key=lambda found: (len(found), found)):
            form = list(text)
            for index in places:
                form[index] = f" {HOLE}" if text[index].startswith(" ") else HOLE
            found = tuple(form)
            if found != text and found in forms[len(text)] and all(_may_go(text[index]) for index in places):
                taken[text] = found
                break
    return {text: _last(taken, found) for text, found in taken.items()}


def _last(taken: dict[Words, Words], found: Words) -> Words:
    while found in taken:
        found = taken[found]
    return found


def _open(texts: set[Words], rules: MergePolicy) -> dict[Words, Words]:
    """Return for each text that gains a hole its new form."""
    contexts: dict[tuple[int, Words, Words], list[Words]] = defaultdict(list)
    for text in sorted(texts):
        if len(text) > rules.longest:
            continue
        for index in range(len(text)):
            contexts[index, text[:index], text[index + 1 :]].append(text)
    found = []
    for (index, before, after), members in contexts.items():
        if len(members) < 2:
            continue
        kept = [text for text in members if _may_go(text[index])]
        if len(kept) > 1 and _enough([text[index] for text in kept], before, after, rules):
            found.append((-len(kept), index, before, after, kept))
    found.sort()
    opened: dict[Words, Words] = {}
    for _, index, before, after, kept in found:
        free = [text for text in kept if text not in opened]
        if len(free) > 1:
            blank = " " if any(text[index].startswith(" ") for text in free) else ""
            new = (*before, f"{blank}{HOLE}", *after)
            opened.update(dict.fromkeys(free, new))
    return opened


def _may_go(filler: str) -> bool:
    """Say whether a word may vanish in a hole: no punctuation, no word that tells an outcome."""
    word = filler.strip()
    return bool(word) and (word[0].isalnum() or word[0] in "<_/\\.-*@$%+~") and not _TELLING.search(word)


def _enough(fillers: list[str], before: Words, after: Words, rules: MergePolicy) -> bool:
    """Say whether these fillers of one position are enough evidence for a variable."""
    others = [word.strip() for word in (*before, *after) if _LETTER.search(word) and HOLE not in word]
    words = [filler.strip() for filler in fillers]
    if not others:
        return False
    if any("/" in word for word in words) and not _METHODS.isdisjoint(others):
        return len(words) >= rules.routes
    if _keyed((*before, fillers[0]), len(before)) or all(_VALUE.search(word) for word in words):
        return len(words) >= rules.values
    if (before and before[-1] == ":") or all(_NAME.match(word) for word in words):
        return len(words) >= rules.names
    return len(words) >= rules.words and len(others) >= rules.fixed
