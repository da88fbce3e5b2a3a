"""Chats as the history stores them, with text that nobody should trust."""

from __future__ import annotations

import uuid

EVIL = '<script>alert(1)</script> & "x" ![x](http://evil.example) <img src=x onerror=alert(1)>'


def answered(paper, text: str = "It moved by **four** metres [2].", **more) -> dict:
    facts = {
        "kind": "fact",
        "abstained": False,
        "sentences": [{"text": f"It moved. {EVIL}", "support": "weak", "markers": [2], "reasons": ["why"]}],
        "citations": [
            {"marker": 2, "paper": paper.id, "page": 1, "quote": "The dune moved by four metres.", "verbatim": True}
        ],
        "passages": [[2, f"{paper.id}:0000"]],
        "confidence": {"score": 0.83, "reason": "Because."},
        "models": [{"name": "Small <b>", "where": "machine", "input_tokens": 8, "output_tokens": 4, "usd": 0.0}],
        "seconds": 2.5,
        "usd": 0.0,
        "stayed": True,
        "sent_to": None,
    }
    written = {"model": "Small <b>", "here": True, "usage": {"input_tokens": 8, "output_tokens": 4}, "usd": 0.0}
    metadata = {"question": "How far?", "answer": text, "cited": [[2, paper.id, 1]], "facts": facts}
    metadata["figures"] = {"seconds": 2.5, "stayed": True, "written": [written]}
    return {"type": "assistant_message", "output": "shown", "metadata": metadata | more}


def thread(*steps, name: str = "How far did it move?") -> dict:
    rows = [{"id": str(n), "createdAt": f"2026-11-30T01:00:{n:02d}Z", **step} for n, step in enumerate(steps)]
    return {"id": "c", "name": name, "createdAt": "2026-11-30T01:00:00Z", "steps": rows}


def asked(text: str = "How far?") -> dict:
    return {"type": "user_message", "output": text}


async def keep(history, chat_id: str, *steps) -> None:
    for n, step in enumerate(steps):
        row = {"id": str(uuid.uuid4()), "threadId": chat_id, "name": "x", "streaming": False}
        await history.create_step({**row, "createdAt": f"2026-11-30T01:00:{n:02d}Z", **step})
