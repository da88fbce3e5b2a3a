"""The subcommands of `python -m rag`, one file each: take arguments, print text or JSON, return an exit status."""
