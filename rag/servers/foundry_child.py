"""Foundry Local in a process and an environment of its own. Started by `rag.servers.foundry`; imports nothing of ours.

Standard input: a line of JSON, then nothing until it closes, which ends the process. Standard output: a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any


def main() -> int:
    """Register and load the models, serve them until standard input closes, then unload them."""
    told = os.dup(1)
    os.dup2(2, 1)  # whatever the library prints is no reply

    def tell(**reply: Any) -> None:
        os.write(told, json.dumps(reply).encode() + b"\n")

    wanted = json.loads(sys.stdin.readline())
    try:
        sdk: Any = import_module("foundry_local_sdk")
    except ImportError as error:
        tell(error=str(error), missing=True)
        return 1
    sdk.FoundryLocalManager.initialize(
        sdk.Configuration(
            app_name="scholion",
            app_data_dir=wanted["place"],
            model_cache_dir=os.path.join(wanted["place"], "cache"),  # noqa: PTH118 it takes text
            logs_dir=os.path.join(wanted["place"], "logs"),  # noqa: PTH118 as above
            web=sdk.Configuration.WebService(urls=f"http://127.0.0.1:{wanted['port']}"),
            disable_nonessential_telemetry=True,
        )
    )
    manager = sdk.FoundryLocalManager.instance
    models = []
    try:
        local = manager.get_catalog(sdk.CatalogType.LOCAL)
        for name, folder in wanted["models"].items():
            with sdk.ModelInfoBuilder() as about:
                about.set_string_property("task", "chat-completion")
                about.set_string_property("display_name", name.rpartition(":")[0])
                models.append(local.register_model(model_path=folder, model_id=name, metadata=about))
            models[-1].load()
        manager.start_web_service()
        tell(url=manager.urls[0], models=[model.id for model in models])
        sys.stdin.read()
    except sdk.FoundryLocalException as error:
        tell(error=str(error))
        return 1
    finally:
        for model in models:
            if model.is_loaded:
                model.unload()
        manager.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
