"""The subcommands of `python -m rag`, one file each: arguments in, text or JSON and an exit status out."""
