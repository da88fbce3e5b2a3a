"""Retrieval: takes a question, returns numbered passages that are relevant to it, and the terms it uses."""

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
