"""Questions about the library and its papers, answered from its records alone: exactly, and without any model."""
