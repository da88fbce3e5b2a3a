"""The chats that are kept: stored, searched, repaired, edited, and what their answers took and cost."""
