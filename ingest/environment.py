"""Environment variables: what a child process of ours is given, and which ones of other programs are dropped.

The libraries below us read many variables that are not meant for Scholion. Chainlit starts a Discord bot where it
finds a token, httpx sends everything through a proxy, chromadb takes its whole configuration. Scholion's own settings
begin with SCHOLION_; keys of providers (`models.json` names them) are read by name and sent to that provider only.
"""

from __future__ import annotations

import os
import re

FOREIGN = re.compile(
    r"""(?x)
    # Chainlit: its options, chat services, sign-in, data layers, storage
    (CHAINLIT|DISCORD|SLACK|TEAMS|OAUTH|LITERAL|APP_AWS|APP_GCS|APP_AZURE)_.*
    | DATABASE_URL | BUCKET_NAME | DEV_AWS_ENDPOINT | STORAGE_EXPIRY_TIME | RUN_TARGET
    # its server, which would trust forwarded addresses; and what sends traces
    | (UVICORN|FASTAPI|WATCHFILES)_.* | FORWARDED_ALLOW_IPS | WEB_CONCURRENCY
    | (OTEL|TRACELOOP|LANGFUSE|LANGCHAIN|LANGSMITH)_.*
    # chromadb takes each of its settings from a variable of the same name
    | CHROMA_.* | IS_PERSISTENT | PERSIST_DIRECTORY | ALLOW_RESET | ANONYMIZED_TELEMETRY
    | MIGRATIONS | MIGRATIONS_HASH_ALGORITHM | TENANT_ID | TOPIC_NAMESPACE | WORKER_MEMBERLIST_NAME
    # openai, except for keys
    | (AZURE_)?OPENAI_(?!API_KEY$).*
    # proxies, and whom https trusts
    | (HTTP|HTTPS|ALL|FTP|NO)_PROXY | SSL_CERT_FILE | SSL_CERT_DIR | SSLKEYLOGFILE | REQUESTS_CA_BUNDLE | CURL_CA_BUNDLE
    | NETRC
    # Postgres's client; SCHOLION_CHATS alone says where the chats are
    | PG(HOST(ADDR)?|PORT|USER|PASSWORD|PASSFILE|DATABASE|SERVICE(FILE)?|OPTIONS|SSL.*|KRB.*|GSS.*|TARGETSESSIONATTRS)
    """
)
"""Names of variables that are dropped, in capitals or not."""

LAUNCHER = {
    "CHAINLIT_APP_ROOT", "CHAINLIT_AUTH_COOKIE_NAME", "CHAINLIT_AUTH_SECRET", "CHAINLIT_ENV_FILE", "CHAINLIT_HOST",
    "CHAINLIT_PORT",
}  # fmt: skip
"""What `python -m ui` sets itself, each time: Chainlit can be told these things in no other way."""

_NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"  # ONNX Runtime reads it while it loads; its own function comes too late

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "ANONYMIZED_TELEMETRY": "False",
    _NO_TELEMETRY: "1",
}
"""What keeps libraries from asking the network."""

GRAPHICS = (
    "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES",
)  # fmt: skip
"""What says which graphics processor a model uses, and where its libraries are."""

dropped: set[str] = set()
"""Names of the variables that `shut_out` has dropped from this process, for a report."""

_EVERY_CHILD = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")


def for_child(*names: str, **more: str) -> dict[str, str]:
    """The whole environment of a child process: what every program needs, the variables `names`, and `more`.

    ONNX Runtime's telemetry is off in each of them.
    """
    told = {name: os.environ[name] for name in (*_EVERY_CHILD, *names) if name in os.environ}
    return told | {_NO_TELEMETRY: "1"} | more


def shut_out(*, but: str | None = None) -> dict[str, str]:
    """Drop the variables of other programs from this process; return the environment as it was before.

    To be called before Chainlit, chromadb or openai are imported: they read theirs at once. What the launcher has set
    stays, so that it may be called again, and so does what begins with `but`.
    """
    before = dict(os.environ)
    for name in before:
        if FOREIGN.fullmatch(name.upper()) and name not in LAUNCHER and not (but and name.startswith(but)):
            del os.environ[name]
            dropped.add(name)
    os.environ |= OFFLINE
    return before


def let_hub_in(proxy: str | None) -> None:
    """Let this process ask the Hugging Face hub, once its user has agreed. Before the hub's client is imported."""
    os.environ |= {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
    if proxy:
        os.environ["HTTPS_PROXY"] = proxy
