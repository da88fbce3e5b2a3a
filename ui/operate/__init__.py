"""For whoever runs Scholion for others: metrics, readiness, and a log with the number of each request."""
