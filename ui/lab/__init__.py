"""The page on which a small model answers inside the browser, without a server behind the answer."""
