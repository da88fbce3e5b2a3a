"""Adapt the drafter to the user's field: train a small adapter on examples, and keep it only if it is better."""
