"""Several people with one Scholion: accounts, who may do what, and whose papers are seen. Nothing of it by default."""
