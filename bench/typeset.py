"""Typeset QASPER's papers, which are plain text, as PDFs: one or two columns, justified, hyphenated.

Chromium renders them twice. It only breaks words at soft hyphens, so these are inserted into long words. In the second
pass, those at line ends become visible hyphens and the others are removed, as in a journal's PDF. Every page has a
running head and a page number; fonts and columns vary between papers. QASPER's placeholders become what a paper has:
BIBREF3 a bracketed number, INLINEFORM0 a short formula.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from typing import TYPE_CHECKING
from zlib import crc32

from playwright.sync_api import Page, sync_playwright

if TYPE_CHECKING:
    from pathlib import Path

FACES = ("Liberation Serif", "DejaVu Serif", "Liberation Sans")
BREAKS = re.compile(
    r"(?<=[a-z][a-z][aeiou][bcdfglmnprstv])(?=[bcdfglmnprstv][a-z]{2})"
    r"|(?<=[a-z]{3}[aeiou])(?=[bdfglmnprstv][aeiou][a-z]{2})"
)

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
@page {{ size: 210mm 297mm; margin: 20mm 17mm; @top-center {{ content: "{head}"; font: 8pt "{face}" }}
  @bottom-center {{ content: counter(page); font: 8pt "{face}" }} }}
body {{ font: {size}pt/1.2 "{face}"; margin: 0; {columns}; text-align: justify;
  font-variant-ligatures: common-ligatures }}
h1 {{ font-size: 16pt; text-align: center }} h2 {{ font-size: 11pt }} h3 {{ font-size: 10pt }}
p {{ margin: 0; text-indent: 4mm }}
</style><body><h1>{title}</h1><h2>Abstract</h2>{body}"""


def typeset(papers: dict[str, dict], folder: Path) -> list[Path]:
    """PDFs of QASPER papers as `<folder>/<name>.pdf`; deterministic, made once.

    Raises:
        FileNotFoundError: Chromium or poppler is not installed.
    """
    paths = {name: folder / f"{name}.pdf" for name in papers}
    todo = [name for name in papers if not paths[name].is_file()]
    if todo:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not chromium:
            raise FileNotFoundError("Chromium is not installed; it sets the papers.")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            for name in todo:
                page = browser.new_page()
                made = _set(name, papers[name], page)
                scratch = paths[name].with_suffix(".part")
                scratch.write_bytes(made)
                scratch.replace(paths[name])
                page.close()
            browser.close()
    return list(paths.values())


def _set(name: str, paper: dict, page: Page) -> bytes:
    two = _two_columns(name)
    page.set_content(_page(name, paper, columns="width: 84mm" if two else "width: 176mm"))
    narrow = page.pdf(prefer_css_page_size=True)
    drawn = subprocess.run(["pdftotext", "-layout", "-", "-"], input=narrow, check=True, capture_output=True)
    ends = iter(re.findall("\u00ad(\u2010?)", drawn.stdout.decode()))
    wide = _page(name, paper, columns="width: 176mm; column-gap: 8mm" + "; columns: 2" * two)
    page.set_content(re.sub("\u00ad", lambda _: "-" if next(ends, "") else "", wide))
    return page.pdf(prefer_css_page_size=True)


def _two_columns(name: str) -> bool:
    return bool(crc32(name.encode()) & 8)


def _page(name: str, paper: dict, *, columns: str) -> str:
    parts = [_paragraph(paper["abstract"])]
    for section in paper["full_text"]:
        path = (section["section_name"] or "").split(" ::: ")
        if path[-1]:
            level = min(3, 1 + len(path))
            parts.append(f"<h{level}>{html.escape(path[-1])}</h{level}>")
        parts += [_paragraph(text) for text in section["paragraphs"] if text.strip()]
    return PAGE.format(
        title=html.escape(" ".join(paper["title"].split())),
        head=re.sub(r"[^\w ]", "", paper["title"])[:60],
        face=FACES[crc32(name.encode()) % len(FACES)],
        size=9.5 if _two_columns(name) else 10.5,
        columns=columns,
        body="\n".join(parts),
    )


def _paragraph(text: str) -> str:
    text = re.sub(r"BIBREF(\d+)", lambda m: f"[{int(m[1]) + 1}]", " ".join(text.split()))
    text = re.sub(r"(?:INLINE|DISPLAY)FORM(\d+)", lambda m: "αβγλθxyzkn"[int(m[1]) % 10] + f" = {m[1]}.5", text)
    return f"<p>{html.escape(re.sub(r'[A-Za-z]{8,}', _with_soft_hyphens, text))}</p>"


def _with_soft_hyphens(match: re.Match) -> str:
    return BREAKS.sub("\u00ad", match[0])
