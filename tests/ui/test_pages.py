"""The frame of our own pages."""

from __future__ import annotations

from ui.web.pages import frame


def test_a_title_is_text_and_all_assets_are_ours():
    page = frame("<b>Papers</b> & more", "<h1>Papers</h1>", script="library.js", styles=("library.css",))

    assert "<title>&lt;b&gt;Papers&lt;/b&gt; &amp; more · Scholion</title>" in page
    assert '"/public/library.js"' in page
    assert '"/public/library.css"' in page
    assert '"/public/page.css"' in page
    assert "http:" not in page
    assert "https:" not in page
