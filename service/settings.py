"""Every setting is an environment variable that begins with GATESCOPE_; its unit stands in its name.

README's table of settings is checked against this file by a test.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Positive = Annotated[int, Field(gt=0)]


class Settings(BaseSettings):
    """Built once at start and handed down."""

    model_config = SettingsConfigDict(env_prefix="GATESCOPE_", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 in the image")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="port to listen on; 0 takes a free one")
    weights_dir: Path = Field(Path("weights"), description="one model's folder, or a folder of models")
    default_model: str | None = Field(
        None, description="which model is the default; else zh-sentiment-bilstm, else the first"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes CUDA where there is a card")
    kernel: Literal["auto", "torch", "avx512", "avx2", "generic"] = Field(
        "auto", description="of the recurrence on the CPU; auto takes the best that was built and runs here"
    )
    table_cache_mb: Annotated[int, Field(ge=0)] = Field(
        128, description="memory for tables of looked-up inputs, all models together; largest gain first"
    )
    threads: Positive = Field(1, description="of torch; a second one makes small models slower")
    max_body_bytes: Positive = Field(32_000_000, description="largest request body")
    max_answer_bytes: Positive = Field(64_000_000, description="largest answer of tensors")
    max_batch_texts: Positive = Field(256, description="texts in one request")
    max_batch_tokens: Positive = Field(16_384, description="padded tokens that run together")
    max_queue_tokens: Positive = Field(262_144, description="tokens that may wait; beyond them requests get 429")
    deadline_ms: Positive = Field(30_000, description="a request that is not answered by then gets 504")
    drain_ms: Annotated[int, Field(ge=0)] = Field(
        500, description="after SIGTERM readiness is off for so long before the port closes"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what is logged")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto is text on a terminal, else JSON lines"
    )
    access_log: bool = Field(False, description="log every request (method, path, status, time; never a text)")
