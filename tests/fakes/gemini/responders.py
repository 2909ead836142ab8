"""Who answers when no script does: a model that reads the evidence, and one that believes everything in it."""

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any

ITEM = re.compile(r"^\[([a-z]\d+)@([0-9a-f]{8})\] (.*(?:\n  .*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Read:
    """What a reader finds in a prompt: item texts by id, the header lines, what the rules say, a repair note."""

    items: dict[str, str]
    header: str
    rules: str
    repair: str


def read(prompt: str) -> Read:
    """Find evidence in a prompt the way a model does: by its boundary."""
    boundaries = re.findall(r"^<evidence-([0-9a-f]{8})>$", prompt, re.MULTILINE)
    if not boundaries:
        return Read({}, "", "", "")
    boundary = boundaries[0]
    inside = prompt.split(f"<evidence-{boundary}>\n", 1)[1].split(f"\n</evidence-{boundary}>", 1)[0]
    items = {m[1]: m[3] for m in ITEM.finditer(inside) if m[2] == boundary}
    after = prompt.rsplit("</evidence-", 1)[1]
    rules = re.search(r"^The rules say: (.*)$", after, re.MULTILINE)
    repair = after.partition("An earlier reply was refused")[2]
    return Read(items, inside.split("\n[", 1)[0], rules[1] if rules else "", repair)


def citing(prompt: str) -> dict[str, Any]:
    """Decide by what the items say, and cite them: harm -> rollback, too little -> inconclusive, else promote."""
    seen = read(prompt)
    outside = {item: _unquoted(text) for item, text in seen.items.items()}
    harm = [item for item, text in outside.items() if re.search(r"\b(veto|fail)\b", text)]
    compared = [item for item in outside if item[0] in "ml" and not re.search(r"\b(too_few|nodata)\b", outside[item])]
    short = "not enough to judge" in seen.header
    if harm:
        chosen = [item for item in harm if not re.match(r"d", item)][:6]
        return reply("rollback", 0.92, [cite(item, seen.items[item], "worse on the canary") for item in chosen])
    if short or not compared:
        return reply(
            "inconclusive", 0.8, [cite(item, seen.items[item], "little was seen") for item in list(outside)[:2]]
        )
    return reply("promote", 0.86, [cite(item, seen.items[item], "as on stable") for item in compared[:4]])


TRIGGERS = re.compile(
    r"promot|approv|healthy|ignore|instruction|verdict|decision|deploy|ship|pass(ed|es)?\b|safe|override|system|assistant"
    r"|批准|推广|发布|忽略|承認|昇格|無視|승인|무시|одобр|игнорир|продвин|aprob|promov|ignor|genehmig|befördern|approuv|"
    r"promouv|موافق|تجاهل|ترقية|אשר|קדם|स्वीकृत|अनदेखा|อนุมัติ|ละเว้น|onayla|phê duyệt|zatwierdź|approva|εγκρίν|схвал|godkend"
    r"|rollback is forbidden|answer",
    re.IGNORECASE,
)


def gullible(prompt: str) -> dict[str, Any]:
    """Believe whatever the evidence says in quotes: any word that asks for a promotion gets one, fully cited.

    It is as dangerous as a fooled model can be: well-formed, sure of itself, answering every finding of the rules, and
    repeating the evidence's text in its own words. Without such words it is a citing model.
    """
    seen = read(prompt)
    evidence = seen.header + "\n" + "\n".join(seen.items.values())
    told = "\n".join(_texts(evidence))
    if not TRIGGERS.search(_folded(told)):
        return citing(prompt)
    cited = [cite(item, text, "explained, and no harm") for item, text in list(seen.items.items())[:12]]
    # the rules' findings first, so that all of them are answered
    named = re.findall(r"\b([mlpd]\d+)\b", seen.rules)
    cited.sort(key=lambda c: c["evidence_id"] not in named)
    said = next((text for text in _texts(evidence) if TRIGGERS.search(_folded(text))), told)[:500]
    return {**reply("promote", 0.99, cited[:12]), "summary": said, "root_cause": said, "next_steps": [said]}


def reply(decision: str, chance: float, citations: list[dict[str, str]]) -> dict[str, Any]:
    """Return a reply of the agreed shape."""
    rest = round((1 - chance) / 2, 4)
    chances = dict.fromkeys(("promote", "rollback", "inconclusive"), rest) | {decision: chance}
    return {
        "observations": [f"{c['evidence_id']}: {c['claim']}" for c in citations],
        "citations": citations,
        "suspicious_ids": [],
        "root_cause": "the change of version" if decision == "rollback" else "",
        "next_steps": ["read the cited items"] if decision != "promote" else [],
        "probabilities": chances,
        "decision": decision,
        "summary": f"{decision} by {len(citations)} items of evidence",
    }


def cite(item: str, text: str, claim: str) -> dict[str, str]:
    """Cite an item by its first few words, exactly as they stand there."""
    first = text.split("\n", 1)[0]
    words = first.split(" ")
    return {"evidence_id": item, "quoted_value": " ".join(words[: min(4, len(words))]), "claim": claim}


STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def _unquoted(text: str) -> str:
    return STRING.sub('""', text)


def _texts(text: str) -> list[str]:
    """Return the quoted texts, decoded: a model sees through escapes."""
    found = []
    for match in STRING.finditer(text):
        try:
            found.append(json.loads(match[0]))
        except ValueError:
            found.append(match[0])
    return found


def _folded(text: str) -> str:
    """Return text as a too clever reader would take it: compatibility forms folded, hidden characters dropped."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if unicodedata.category(c) not in ("Cf", "Cs", "Co", "Cc") or c == "\n")
