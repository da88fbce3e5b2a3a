"""Settings: which models answer, and limits on reading and writing. Environment variables start with SCHOLION_."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest.settings import PROJECT


class RagSettings(BaseSettings):
    """The assistant's settings; each can be set as an environment variable or in `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="SCHOLION_", env_file=PROJECT / ".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    drafter: str | None = Field(
        default=None,
        description="The model that drafts, on this machine: a name from `python -m rag models`, a GGUF file, an "
        "ONNX folder, or the address of a server here followed by `#` and the model; several addresses of one model, "
        "separated by commas, share the work. If unset: the embedded SmolLM2-135M-Instruct.",
    )
    drafter_key: SecretStr = Field(
        default=SecretStr(""), description="The key for the drafter's server, if it needs one."
    )
    drafter_context: int = Field(
        default=8192, ge=1024, description="Context window of the drafter, shared by its slots."
    )
    drafter_slots: int = Field(
        default=2, ge=1, le=16, description="Answers the drafter writes at the same time, on each of its servers."
    )
    drafter_threads: int | None = Field(
        default=None, ge=1, description="Processor threads; if unset, all cores read and half of them write."
    )
    drafter_sentences: int | None = Field(
        default=None,
        ge=0,
        description="How many of the best sentences the drafter sees; 0 shows whole passages. "
        "If unset: 4 for the embedded model, 0 for any other.",
    )
    answers: Literal["quoted", "written"] | None = Field(
        default=None,
        description="Answer questions for a fact with sentences quoted from your papers (`quoted`) or with the "
        "drafter's own words (`written`). If unset: quoted with the embedded drafter, written with any other.",
    )
    expert: str | None = Field(
        default=None,
        description="The larger model that refines: a name from `python -m rag models`, a GGUF file, or the address of "
        "a server followed by `#` and the model, like `http://127.0.0.1:11434/v1#qwen2.5:7b`. If unset: none.",
    )
    expert_key: SecretStr = Field(
        default=SecretStr(""), description="The key for the expert's server, if it needs one."
    )
    expert_context: int | None = Field(
        default=None,
        ge=1024,
        description="Context window of the expert. If unset: what its server says, 8192 for a GGUF file.",
    )
    expert_seconds: float = Field(default=180.0, gt=0, description="Longest wait for the expert's complete answer.")
    expert_output_tokens: int = Field(
        default=1024, ge=16, description="Longest answer from the expert, in its tokens, thinking included."
    )
    max_output_tokens: int = Field(default=320, ge=16, description="Longest answer, in the model's tokens.")
    temperature: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="How freely the models choose their words: at 0, always the most likely. "
        "Confidence is calibrated for 0.",
    )
    answer_floor: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="If the reader finds it less likely than this that the passages answer the question, you are told "
        "that they do not. If unset: as measured (docs/reader.md).",
    )
    auto_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="In `auto`, an answer whose confidence is below this goes to the larger model; "
        "`python -m rag curve` recommends a value. If unset: as calibrated (docs/confidence.md).",
    )
    max_question_chars: int = Field(default=4000, ge=100, description="Longer questions are refused.")
    timeout_seconds: float = Field(default=120.0, gt=0, description="Longest wait for the next piece of an answer.")
    top_k: int = Field(default=6, ge=1, le=50, description="Passages shown to the model.")
    proxy: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s?#]+/?$",
        description="A proxy for `python -m rag models pull`, like `http://proxy.example:3128`. Nothing else goes "
        "through a proxy, and variables like HTTP_PROXY are ignored.",
    )
    budget_day_calls: int | None = Field(
        default=None, ge=0, description="Most calls per day (UTC) to a larger model that is not on this machine."
    )
    budget_month_calls: int | None = Field(default=None, ge=0, description="The same per calendar month.")
    budget_day_usd: float | None = Field(
        default=None, ge=0, description="Most US dollars per day; if set, models with an unknown price are not used."
    )
    budget_month_usd: float | None = Field(default=None, ge=0, description="The same per calendar month.")
    watts: float | None = Field(
        default=None, gt=0, description="Power this machine draws while answering, for an estimate without counters."
    )
    idle_watts: float | None = Field(
        default=None, ge=0, description="Power it draws when idle; if set, only the power above it counts."
    )
    kwh_price: float | None = Field(default=None, ge=0, description="Price of a kilowatt-hour, in US dollars.")
    hardware_price: float | None = Field(
        default=None,
        ge=0,
        description="Price of the hardware that answers, in US dollars; 0 if it is already paid for.",
    )
    hardware_hours: float = Field(default=26_280.0, gt=0, description="Lifetime of the hardware in hours: three years.")
    utilisation: float | None = Field(
        default=None, gt=0, le=1, description="The share of that time it spends answering, for example 0.05."
    )
