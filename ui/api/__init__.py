"""Scholion for other programs: an OpenAI-compatible API over the same assistant, library and pages as the chat."""
