"""The page on which two models answer the same question: side by side, or blind with a vote."""
