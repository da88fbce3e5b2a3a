"""Question in; out come the numbered passages that bear on it, and the terms that it uses."""

from rag.retrieval.plans import gather
from rag.retrieval.questions import Plan, plan
from rag.retrieval.retrieve import Found, Retriever
from rag.retrieval.terms import Definition, Terms

__all__ = [
    "Definition",
    "Found",
    "Plan",
    "Retriever",
    "Terms",
    "gather",
    "plan",
]
