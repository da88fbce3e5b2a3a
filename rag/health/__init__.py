"""Health: what is there, what is missing and how to get it, for a person and as a bundle without anything personal."""
