"""What a model wrote, as HTML: a little Markdown, no raw HTML, nothing that links or loads; what it cites is linked.

A model repeats what hostile evidence told it. So it may emphasise, list and quote; it may not write headings, which
would look like ours, nor links, images and HTML.
"""

import re
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

from rollout_verdict.core.quote import visible

LIMIT = 6000  # characters; an opinion's texts are bounded far below
_RULES = ("paragraph", "list", "fence", "code", "blockquote", "newline", "backticks", "emphasis", "escape", "entity")
_CITED = re.compile(r"\[?\b([mlpd][0-9]{1,4})\b\]?")


def words(text: str, ids: Collection[str]) -> Markup:
    """Return Markdown as HTML; ``ids`` are the items of the page, and what names one of them links to it."""
    shown = visible(text, limit=LIMIT, lines=True)
    return Markup(_markdown().render(shown, {"ids": ids}))  # noqa: S704 - every text in it is escaped by the renderer


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("zero").enable(_RULES, ignoreInvalid=True)
    made.add_render_rule("text", _text)
    return made


def _text(_: RendererHTML, tokens: Sequence[Token], index: int, __: Any, env: Any) -> str:
    content = tokens[index].content
    parts, done = [], 0
    for match in _CITED.finditer(content):
        if match[1] not in env["ids"]:
            continue
        parts += [escape(content[done : match.start()]), f'<a class="cite" href="#{match[1]}">{match[1]}</a>']
        done = match.end()
    return "".join([*parts, escape(content[done:])])
