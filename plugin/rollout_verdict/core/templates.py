"""Templates: masked texts that differ in one variable word become one, on evidence rather than similarity.

A position becomes a hole when, all other words equal, several different fillers were seen there. Words that tell
an outcome are never such a hole: too many templates cost room, too few hide a regression.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from rollout_verdict.core.mask import HOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePolicy:
    """How much evidence makes a hole. Counts are of distinct fillers of one position."""

    values: int = 2  # fillers that look like values: they hold a hole, "@" or "\\", or follow "=" or ":"
    paths: int = 20  # fillers with "/": routes are few and telling, file names are many
    words: int = 5  # plain words: four colours may be four events, five are a variable
    passes: int = 4  # each pass may open one hole more in a text
    longest: int = 160  # words; longer texts are compared as they are


_WORD = re.compile(r" ?(?:(?:<\*>|[^\s=:,;()\[\]{}\"'|<>])+|\S)")
_TELLING = re.compile(
    r"(?i:trace|debug|info\b|notice|warn|err|severe|fatal|crit|panic|fail|exception|succe|ok\b|okay|timeout|timed|time-out"
    r"|refus|reject|den(?:y|ied)|invalid|valid|missing|lost|reset|clos|open|start|stop|paus|resum|kill|crash|abort"
    r"|cancel|expir|exceed|unavail|avail|unreach|disconnect|connect|accept|enabl|disabl|add|remov|delet|creat|updat"
    r"|\bup\b|\bdown\b|\bnot?\b|never|none\b|null\b|retry|health|ready|dead|alive|lock|corrupt|broken|bad|good|pass"
    r"|drop|skip|ignor|complet|finish|done|begin|end(?:ed|ing)?\b|oom|overflow|leak|full|empty|unknown|unable|cannot)"
)
_LETTER = re.compile(r"[A-Za-z]{2}")
_HOLES = re.compile(r"<\*>(?:(?:,? |, ?|[/%#@])<\*>)+")
# The comma stands outside the class, so that there is one way to match: two would be exponential on a list without end.
_LIST = re.compile(r"\[[^\[\]{}()=:,\"]{1,64}(?:,[^\[\]{}()=:,\"]{1,64})+\]")
_OBJECT = re.compile(r"(?<=[\w>])\(((?:[\w.]+=[^()=]*,? ?){2,})\)")
_FIELD = re.compile(r"([\w.]+=)([^,()=\[\]{}]*)(?=,|\Z)")
_DOTTED = re.compile(r"[a-z]\.[a-z]")
_HOST = re.compile(
    r"(?<![\w.@/$])(?:[a-zA-Z][\w\-]*\.){2,}[a-zA-Z]{2,}:<\*>|(?<![\w.])(?:[\w\-]+\.)+(?:com|net|org|io|local|internal)(?![\w.])"
)


def tidy(text: str) -> str:
    """Return a masked text with lists, printed objects and hosts reduced to holes, and runs of holes to one."""
    if "[" in text:
        text = _LIST.sub(_tidy_list, text)
    if "(" in text and "=" in text:
        text = _OBJECT.sub(lambda found: f"({_FIELD.sub(_tidy_field, found[1])})", text)
    if _DOTTED.search(text):
        text = _HOST.sub(HOLE, text)
    return _HOLES.sub(HOLE, text) if text.count(HOLE) > 1 else text


def _tidy_list(found: re.Match[str]) -> str:
    return found.group() if _TELLING.search(found.group()) else f"[{HOLE}]"


def _tidy_field(found: re.Match[str]) -> str:
    value = found[2].strip()
    return found.group() if not value or " " in value or _TELLING.search(value) else f"{found[1]}{HOLE}"


def merge(texts: Iterable[str], policy: MergePolicy | None = None) -> dict[str, str]:
    """Return the template of each text. The same texts give the same templates, in whatever order they come."""
    rules = policy or MergePolicy()
    result = {text: text for text in sorted(set(texts))}
    words = {text: tuple(_WORD.findall(text)) for text in result}
    for _ in range(rules.passes):
        opened = _open(set(words.values()), rules)
        if not opened:
            break
        words = {text: opened.get(parts, parts) for text, parts in words.items()}
    return {text: _HOLES.sub(HOLE, "".join(parts)) for text, parts in words.items()}


def _open(texts: set[tuple[str, ...]], rules: MergePolicy) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Return for each text that gains a hole its new form."""
    contexts: dict[tuple[int, tuple[str, ...], tuple[str, ...]], list[tuple[str, ...]]] = defaultdict(list)
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
    opened: dict[tuple[str, ...], tuple[str, ...]] = {}
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


def _enough(fillers: list[str], before: tuple[str, ...], after: tuple[str, ...], rules: MergePolicy) -> bool:
    """Say whether these fillers of one position are enough evidence for a variable."""
    others = sum(1 for word in (*before, *after) if _LETTER.search(word) and HOLE not in word)
    if not others:
        return False
    words = [filler.strip() for filler in fillers]
    if any(word == HOLE for word in words):
        return True
    keyed = bool(before) and before[-1].strip() in ("=", ":") and not fillers[0].startswith(" ")
    if keyed or all(HOLE in word or "@" in word or "\\" in word for word in words):
        return len(words) >= rules.values
    if all("/" in word for word in words):
        return len(words) >= rules.paths
    return len(words) >= rules.words
