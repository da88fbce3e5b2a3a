"""What a model says aloud, without its thoughts and its control tokens, while it is still being written.

Thoughts stand between `<think>` and `</think>` (or `<thinking>`, `[THINK]`, …), in a channel of their own
(`<|channel|>analysis`), or before a `</think>` that nothing opens, because the template of the prompt has opened it.
"""

from __future__ import annotations

import re
from typing import Final, Literal

_TAG = r"(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad|seed:think|analysis)"
_OPEN = (
    rf"<{_TAG}>|\[THINK(?:ING)?\]|◁think▷|<\|(?:begin_of_thought|START_THINKING|thinking|think)\|>"
    r"|<\|channel\|>\s*(?:analysis|commentary|thought|thinking)[^<]{0,80}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>"
)
_CLOSE = (
    rf"</{_TAG}>|\[/THINK(?:ING)?\]|◁/think▷|<\|(?:end_of_thought|END_THINKING|/thinking|/think)\|>"
    r"|<\|channel\|>\s*final[^<]{0,80}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>"
)
_CHANNEL_ENDS = r"<\|(?:end|call|start)\|>(?:\s*assistant)?"
_LEAD = (
    r"<\|im_start\|>\s*assistant\s|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|<\|start\|>\s*assistant"
    r"|<\|assistant\|>|<\|message\|>|<s>|<bos>"
)
_END = (
    r"<\|(?:im_end|im_start|eot_id|eom_id|end|return|endoftext|end_of_text|end_of_turn|END_OF_TURN_TOKEN|user|system"
    r"|start_header_id|start|eot|end_of_sentence|endofresponse|fim_middle)\|>|</s>|<(?:end_of_turn|start_of_turn|eos)>"
    r"|<｜(?:end▁of▁sentence|User|Assistant)｜>|\[/?INST\]"
)
_TOKEN: Final = re.compile(rf"(?P<open>{_OPEN})|(?P<close>{_CLOSE})|(?P<lead>{_LEAD})|(?P<end>{_END})", re.IGNORECASE)
_THOUGHT_ENDS: Final = re.compile(rf"(?:{_CLOSE})", re.IGNORECASE)
_CHANNEL_THOUGHT_ENDS: Final = re.compile(rf"(?:{_CLOSE}|{_CHANNEL_ENDS})", re.IGNORECASE)
_BEGUN: Final = re.compile(r"(?:<[^<>\n]{0,60}(?:<\|?[^<>]{0,20})?|\[/?[A-Za-z]{0,8}|◁[^▷]{0,8})\Z")
_CHANNEL_BEGUN: Final = re.compile(r"<\|(?:channel|start|im_start|start_header_id)\|>[^\n]{0,160}\Z")
_ROLE_COMES: Final = re.compile(
    r"<\|(?:start|im_start|start_header_id)\|>\s*(?:a(?:s(?:s(?:i(?:s(?:t(?:a(?:n(?:t(?:\s*<[^<>\n]{0,20})?)?)?)?"
    r")?)?)?)?)?)?\Z"
)
_STRIPPED: Final = re.compile(r"analysis(?=[A-Z])")
_STRIPPED_ENDS: Final = re.compile(r"assistant\s*final")
_ALOUD: Final = re.compile(
    r"(?:okay|ok|alright|hmm+|wait)(?:\s*[,.!:…]|,? (?:so|the|let|i|we)\b)|let me\b|let's\b|so,? (?:the user|i)\b"
    r"|we need\b|i (?:need|have|should) to\b|i should\b|first,? (?:i|let)\b"
    r"|the user (?:is asking|wants|asks|asked|has asked|provided|gave)\b|thinking process|thought:|thinking:"
    r"|(?:i'm|we're|we are|i am) (?:being )?asked\b",
    re.IGNORECASE,
)
"""How thoughts begin, and an answer now and then: such a text is held back."""
_ABOUT_THE_TASK: Final = re.compile(
    r"(?:(?:okay|ok|alright)\W+(?:so\W+)?|hmm+\W+|so,? )?the user(?:'s)?\b"
    r"|.{0,160}?\bthe user (?:is asking|wants|asks|asked|has asked|provided|gave)\b"
    r"|thinking process|thought:|thinking:|(?:i'm|we're|we are|i am) (?:being )?asked\b"
    r"|(?:.{0,60}?\b(?:we|i) (?:need|have|should) to|.{0,60}?\blet(?:'s| me)) (?:answer|respond|find out|figure out"
    r"|think|analy[sz]e|look (?:at|for|through)|check|see|read|recall)\b",
    re.IGNORECASE | re.DOTALL,
)
"""What no answer says: a text held back that begins so is thoughts, even where the end of them never came."""
_ENOUGH: Final = 24
"""Characters after which it is told whether a text begins as thoughts do."""

State = Literal["start", "text", "thought", "aloud", "done"]


class Thoughts:
    """Takes thoughts and control tokens out of a stream, wherever they stand in it.

    A text that begins as thoughts do ("Okay, …") is held back to its end, where it is known whether a `</think>` made
    thoughts of it.
    """

    def __init__(self) -> None:
        self.seen = False
        """Whether the model thought aloud."""
        self.taken_back = False
        """Whether what was given out before turned out to be thoughts; read and cleared by the caller."""
        self._held = ""
        self._state: State = "start"
        self._ends = _THOUGHT_ENDS
        self._given = False
        self._retracts = False
        self._cut_off = False
        self._opened = ""
        self._out = False

    @property
    def held(self) -> str:
        """The text held back that may still be the answer; empty for thoughts."""
        aloud = self._state == "aloud" and not _ABOUT_THE_TASK.match(self._held.lstrip())
        return self._held if aloud else ""

    def feed(self, piece: str) -> str:
        """What of the text so far can be shown and has not been."""
        self._held += piece
        return self._advance(final=False)

    def finish(self, *, cut_off: bool = False) -> str:
        """What is still held back; of thoughts that never ended nothing.

        Args:
            cut_off: whether the model was stopped at its limit: then a text about the task ("Okay, the user wants …")
                is taken for thoughts.
        """
        self._cut_off = cut_off
        if self._state == "start":
            self._begin(final=True)
        if self._state == "aloud" and cut_off and _ABOUT_THE_TASK.match(self._held.lstrip()):
            self.seen, self._held, self._state = True, "", "done"
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> str:
        shown = ""
        while True:
            before = (self._state, len(self._held))
            shown += self._step(final=final)
            if self._retracts:
                self.taken_back, self._retracts = self.taken_back or self._given, False
                shown, self._given, self._out = "", False, False
            if (self._state, len(self._held)) == before:
                break
        if not self._out:
            shown = shown.lstrip()
            self._out = bool(shown)
        self._given = self._given or self._out
        return shown

    def _step(self, *, final: bool) -> str:
        match self._state:
            case "start":
                return self._begin(final=final)
            case "thought":
                return self._think(final=final)
            case "aloud":
                return self._aloud(final=final)
            case "done":
                self._held = ""
                return ""
            case _:
                return self._speak(final=final)

    def _begin(self, *, final: bool) -> str:
        start = self._held.lstrip()
        if len(start) < _ENOUGH and not final:
            return ""
        self._state = "text"
        if _STRIPPED.match(start):
            self._state, self._ends, self.seen = "thought", _STRIPPED_ENDS, True
        elif _ALOUD.match(start):
            self._state = "aloud"
        return ""

    def _think(self, *, final: bool) -> str:
        ended = self._ends.search(self._held)
        if ended:
            self._held, self._state = self._held[ended.end() :], "text"
        elif final and self._given and self._opened.startswith("<t") and not self._cut_off:
            shown, self._held, self._state = self._opened + self._held, "", "done"
            return shown  # a tag that a sentence speaks of
        elif final:
            self._held = ""
        elif not self._given:
            self._held = self._held[-200:]
        return ""

    def _aloud(self, *, final: bool) -> str:
        ended = _THOUGHT_ENDS.search(self._held)
        if ended:
            self.seen, self._held, self._state = True, self._held[ended.end() :], "text"
        elif final:
            self._state = "text"
        return ""

    def _speak(self, *, final: bool) -> str:
        token = _TOKEN.search(self._held)
        begun = None if final else (_CHANNEL_BEGUN.search(self._held) or _BEGUN.search(self._held))
        if token and token["end"] and not final and _ROLE_COMES.match(self._held, token.start()):
            return ""  # `<|start|>` may go on with "assistant"
        if token is None or (begun and begun.start() < token.start()):
            at = begun.start() if begun else len(self._held)
            shown, self._held = self._held[:at], self._held[at:]
            return shown
        shown, self._held = self._held[: token.start()], self._held[token.end() :]
        if token["open"]:
            self.seen, self._state, self._opened = True, "thought", token[0]
            self._given = self._given or bool(shown.strip())
            self._ends = _CHANNEL_THOUGHT_ENDS if "channel" in token["open"] else _THOUGHT_ENDS
        elif token["close"] and "channel" not in token["close"]:
            self.seen = self._retracts = True
            return ""
        elif token["end"] and (self._given or shown.strip() or not token["end"].startswith("<|start")):
            self._state = "done"
        return shown
