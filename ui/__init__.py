"""What Chainlit shows."""
