"""The interface in the languages of its users: their texts, and which one a browser gets."""
