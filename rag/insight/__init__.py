"""Insight: what answers took and cost, from the figures stored with each answer and the audit log."""
