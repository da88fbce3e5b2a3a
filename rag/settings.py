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
        description="The model that drafts, on this machine: a name from `python -m rag models`, a GGUF file, or the "
        "address of a server here with the model behind `#`; the embedded SmolLM2-135M-Instruct where unset.",
    )
    drafter_context: int = Field(
        default=8192, ge=1024, description="Context window of the drafter, shared by its slots."
    )
    drafter_slots: int = Field(default=2, ge=1, le=16, description="Answers that the drafter writes at the same time.")
    drafter_threads: int | None = Field(
        default=None, ge=1, description="Processor threads; where unset all cores read, half of them write."
    )
    drafter_sentences: int | None = Field(
        default=None,
        ge=0,
        description="Show the drafter only so many best sentences of the passages, 0 for whole passages; "
        "where unset 4 for the embedded model and 0 for any other.",
    )
    answers: Literal["quoted", "written"] | None = Field(
        default=None,
        description="Whether a question for a fact is answered with the sentences of your papers, or with what the "
        "drafter writes; where unset quoted with the embedded drafter and written with any other.",
    )
    expert: str | None = Field(
        default=None,
        description="The larger model that refines: a name from `python -m rag models`, a GGUF file, or the address of "
        "a server with the model behind `#`, like `http://127.0.0.1:11434/v1#qwen2.5:7b`; none where unset.",
    )
    expert_key: SecretStr = Field(
        default=SecretStr(""), description="The key for the expert's server, where it asks for one."
    )
    expert_context: int | None = Field(
        default=None,
        ge=1024,
        description="Context window of the expert; where unset what its server says, 8192 for a GGUF file.",
    )
    expert_seconds: float = Field(default=180.0, gt=0, description="Longest wait for the expert's whole answer.")
    expert_output_tokens: int = Field(
        default=1024, ge=16, description="Longest answer of the expert, in its tokens, its thoughts included."
    )
    max_output_tokens: int = Field(default=320, ge=16, description="Longest answer, in the model's tokens.")
    max_question_chars: int = Field(default=4000, ge=100, description="Longer questions are refused.")
    timeout_seconds: float = Field(default=120.0, gt=0, description="Longest wait for the next piece of an answer.")
    top_k: int = Field(default=6, ge=1, le=50, description="Passages shown to the model.")
    proxy: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s?#]+/?$",
        description="A proxy for `python -m rag models pull`, like `http://proxy.example:3128`. Nothing else goes "
        "through a proxy, and HTTP_PROXY and its like are not read.",
    )
    budget_day_calls: int | None = Field(
        default=None, ge=0, description="Most calls in a day (UTC) of a larger model that is not on this machine."
    )
    budget_month_calls: int | None = Field(default=None, ge=0, description="The same in a calendar month.")
    budget_day_usd: float | None = Field(
        default=None, ge=0, description="Most US dollars in a day; models with an unknown price are not asked then."
    )
    budget_month_usd: float | None = Field(default=None, ge=0, description="The same in a calendar month.")
    watts: float | None = Field(
        default=None, gt=0, description="What this machine draws while it answers, for an estimate without counters."
    )
    idle_watts: float | None = Field(
        default=None, ge=0, description="What it draws at rest; where set, only what is above it counts."
    )
    kwh_price: float | None = Field(default=None, ge=0, description="Price of a kilowatt-hour, in US dollars.")
    hardware_price: float | None = Field(
        default=None, ge=0, description="Price of the hardware that answers, in US dollars; 0 where it is paid for."
    )
    hardware_hours: float = Field(default=26_280.0, gt=0, description="Hours that the hardware lasts: three years.")
    utilisation: float | None = Field(
        default=None, gt=0, le=1, description="The part of that time in which it answers, as 0.05."
    )
