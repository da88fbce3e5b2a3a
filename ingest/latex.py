"""Read and write LaTeX's notation for letters: accents, commands and escapes as used in bibliographies."""

from __future__ import annotations

import re
import unicodedata

_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
    "b": "\u0331",
}  # fmt: skip
_COMMANDS = {
    "ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å",
    "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ", "ng": "ŋ", "NG": "Ŋ",
    "textbackslash": "\\", "textbraceleft": "{", "textbraceright": "}", "textasciitilde": "~", "textasciicircum": "^",
    "textendash": "–", "textemdash": "—", "textquoteleft": "‘", "textquoteright": "’", "textquotedblleft": "“",
    "textquotedblright": "”", "ldots": "…", "dots": "…", "textellipsis": "…", "textdegree": "°", "textmu": "µ",
    "textregistered": "®",
    "texttrademark": "™", "copyright": "©", "S": "§", "P": "¶", "pm": "±", "times": "×",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "kappa": "κ", "lambda": "λ", "mu": "μ",
    "pi": "π", "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Delta": "Δ", "Omega": "Ω",
    "backslash": "\\", "textless": "<", "textgreater": ">", "textbar": "|", "leq": "≤", "geq": "≥",
    "guillemotleft": "«", "guillemotright": "»", "textunderscore": "_", "textquotesingle": "'", "textasciigrave": "`",
}  # fmt: skip
_TOKEN = re.compile(
    r"\\([`'^~=.\"])\s*(?:\{\s*(?:\\([ij])(?:\{\})?|([^\W\d_])?)\s*\}|\\([ij])(?![A-Za-z])\s*|([^\W\d_]))"
    r"|\\([uvHcdrkb])(?:\s*\{\s*(?:\\([ij])(?:\{\})?|([^\W\d_])?)\s*\}|\s+\\([ij])(?![A-Za-z])\s*|\s+([^\W\d_]))"
    r"|\\([A-Za-z]+)\*?(?:\{\}|\s+|(?![A-Za-z]))|\\(.)|(---|--|``|''|~|\$|[{}])|(\s+)",
    re.DOTALL,
)
_PLAIN = {"---": "—", "--": "–", "``": "“", "''": "”", "~": " ", "$": "", "{": "", "}": ""}


def from_latex(text: str) -> str:
    """The text that LaTeX would print, on one line: accents and symbols as Unicode, without markup commands."""
    return " ".join(unicodedata.normalize("NFC", _TOKEN.sub(_printed, text)).split())


def _printed(token: re.Match[str]) -> str:
    for accent, *letters in (token.group(1, 2, 3, 4, 5), token.group(6, 7, 8, 9, 10)):
        if accent:
            return next((letter for letter in letters if letter), " ") + _ACCENTS[accent]
    command, symbol, plain, space = token.group(11, 12, 13, 14)
    if command:
        # a command that prints nothing (\emph, \textit) leaves its argument; the braces are removed later
        return _COMMANDS.get(command, "")
    if symbol:
        return " " if symbol in " \\/" else symbol if symbol not in "-,;!" else ""
    return " " if space else _PLAIN[plain]


_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\textbraceleft{}", "}": r"\textbraceright{}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", '"': '{"}',
    "ß": r"{\ss}", "ø": r"{\o}", "Ø": r"{\O}", "ł": r"{\l}", "Ł": r"{\L}", "æ": r"{\ae}",
    "Æ": r"{\AE}", "œ": r"{\oe}", "Œ": r"{\OE}",
}  # fmt: skip
_COMMAND_OF = {mark: command for command, mark in _ACCENTS.items()}


def to_latex(text: str) -> str:
    """The text as LaTeX that prints it, with balanced braces; `from_latex` is its inverse up to white space.

    Latin letters with accents are written as commands, so that old BibTeX sorts and cuts them; other letters stay.
    """
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    # empty braces keep apart what TeX would print as one sign
    return "".join(
        _escaped(char) + ("{}" if char + after in ("--", "``", "''", "?`", "!`") else "")
        for char, after in zip(text, f"{text[1:]} ", strict=False)
    )


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    letter, mark, *more = (*unicodedata.normalize("NFD", char), "", "")
    if mark in _COMMAND_OF and letter.isascii() and letter.isalpha() and not any(more):
        return f"{{\\{_COMMAND_OF[mark]}{{{letter}}}}}"
    return char
