"""Compare models by measurement: time, tokens, cost, energy and quality of the same questions, and what follows."""
