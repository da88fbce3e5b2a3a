"""The frame of Scholion's own pages, which look like the chat and stand beside it under routes of ours."""

from __future__ import annotations

from html import escape


def frame(title: str, body: str, *, script: str, styles: tuple[str, ...] = ()) -> str:
    """A whole HTML page.

    Args:
        title: shown in the browser's tab; any text.
        body: HTML that goes into the page's `main`.
        script: the name of a module in `public/`, like "library.js"; it may import `/public/page.js`.
        styles: names of further style sheets in `public/`.
    """
    sheets = "".join(f'<link rel="stylesheet" href="/public/{name}">\n' for name in ("page.css", *styles))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} · Scholion</title>
<link rel="icon" href="/public/favicon.svg">
{sheets}<script type="module" src="/public/page.js"></script>
<script type="module" src="/public/{escape(script)}"></script>
</head>
<body>
<main class="page">
{body}
</main>
</body>
</html>
"""
