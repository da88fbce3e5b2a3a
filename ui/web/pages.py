"""The frame of Scholion's own pages, which look like the chat and stand beside it under routes of ours."""

from __future__ import annotations

import re
from html import escape, unescape

from rag.texts import _, now

_WORDS = re.compile(r'(?<=>)(?P<text>[^<>]+)(?=<)|(?<= )(?P<name>title|aria-label|placeholder)="(?P<value>[^"]*)"')
_AS_IT_IS = re.compile(r'<(?:script|style|kbd|code)\b[^>]*>$|\btranslate="no"[^>]*>$')


def frame(title: str, body: str, *, script: str, styles: tuple[str, ...] = ()) -> str:
    """A whole HTML page.

    Args:
        title: shown in the browser's tab; an English text of ours, or any text with a value in it.
        body: HTML in English that goes into the page's `main`; see `translated`.
        script: the name of a module in `public/`, like "library.js"; it may import `/public/page.js`.
        styles: names of further style sheets in `public/`.
    """
    sheets = "".join(f'<link rel="stylesheet" href="/public/{name}">\n' for name in ("page.css", *styles))
    return f"""<!doctype html>
<html lang="{now().code}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(_(title))} · Scholion</title>
<link rel="icon" href="/public/favicon.svg">
{sheets}<script type="module" src="/public/page.js"></script>
<script type="module" src="/public/{escape(script)}"></script>
</head>
<body>
<main class="page">
{translated(body)}
</main>
</body>
</html>
"""


def translated(html: str) -> str:
    """The HTML in the reader's language: its texts, titles, labels and placeholders that are known, whole.

    A text in an element with `translate="no"` stays: it is somebody else's.
    """

    def said(found: re.Match[str]) -> str:
        if found["name"]:
            return f'{found["name"]}="{escape(_(unescape(found["value"])))}"'
        text = found["text"]
        flat = " ".join(text.split())
        if not flat or _AS_IT_IS.search(html, max(0, found.start() - 200), found.start()):
            return text
        words = _(flat)
        if words == flat:
            return text
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        return f"{before}{escape(words, quote=False)}{after}"

    return _WORDS.sub(said, html)
