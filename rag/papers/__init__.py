"""For scripts and notebooks: a library and its assistant in plain calls that wait."""
