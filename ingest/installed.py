"""Find an installed package without running its code, which may need things that are not installed here."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def folders_of(package: str) -> list[Path]:
    """The folders of a package, one unless it is a namespace; none where it is not installed.

    Args:
        package: a name without dots; to look inside a package, Python would import it.
    """
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # a module created at run time
        return []
    return [Path(folder) for folder in (spec.submodule_search_locations if spec else None) or ()]
