"""Adapt the model that drafts to one's own field: examples in, a small adapter out, kept only where it is better."""
