"""Every setting is an environment variable that begins with GATESCOPE_; its unit is part of its name.

README's table of settings is checked against this file by a test.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .errors import StartupError

PREFIX = "GATESCOPE_"
LEAST_KEY = 32  # characters of a key that seals
_CLIENTS = ("URL", "KEY")  # variables of the command line alone
# what Kubernetes and Docker set in a container beside a service that is called gatescope
_LINKS = re.compile(r"(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?)?|NAME|ENV_\w+)")

Positive = Annotated[int, Field(gt=0)]
Precision = Literal["float32", "bfloat16"]
_PRECISIONS: dict[str, Precision] = {"float32": "float32", "bfloat16": "bfloat16"}


class Settings(BaseSettings):
    """Built once at start and handed down."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 in the image")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8000, description="port to listen on; 0 takes a free one")
    weights_dir: Path = Field(Path("weights"), description="one model's folder, or a folder of models")
    default_model: str | None = Field(
        None, description="which model is the default; else zh-sentiment-bilstm, else the first"
    )
    allow_empty: bool = Field(
        False, description="start although weights_dir does not exist or holds no model: it is mounted later"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes CUDA where there is a card, and the CPU for batches that it does sooner"
    )
    kernel: Literal["auto", "torch", "avx512bf16", "avx512", "avx2", "generic", "cuda"] = Field(
        "auto",
        description="of the recurrence on the CPU; auto takes the best that runs here; cuda is our own on a card",
    )
    precision: str = Field(
        "float32",
        description="of the recurrences' weights: float32, bfloat16, or name=bfloat16 of single models",
    )
    table_cache_mb: Annotated[int, Field(ge=0)] = Field(
        128, description="memory for tables of looked-up inputs, all models together; largest gain first"
    )
    threads: Positive = Field(
        1, description="of one process: 2 run the directions of a bidirectional model side by side, on a core each"
    )
    workers: Positive = Field(
        1, description="processes that share the port and nothing else: each loads every model, and takes its own core"
    )
    max_body_bytes: Positive = Field(32_000_000, description="largest request body")
    max_json_depth: Annotated[int, Field(gt=0, le=1000)] = Field(32, description="nesting of a JSON body")
    max_answer_bytes: Positive = Field(64_000_000, description="largest answer of tensors")
    max_batch_texts: Positive = Field(256, description="texts in one request")
    max_request_characters: Positive = Field(2_000_000, description="characters in one request, all texts together")
    max_request_tokens: Positive = Field(262_144, description="tokens in one request, all texts together")
    max_batch_tokens: Positive = Field(16_384, description="padded tokens that run together")
    max_queue_tokens: Positive = Field(262_144, description="tokens that may wait; beyond them requests get 429")
    max_queue_requests: Positive = Field(4096, description="requests that may wait; beyond them requests get 429")
    max_header_bytes: Annotated[int, Field(ge=1024)] = Field(
        32_768, description="request line and headers of one request; beyond them 431"
    )
    max_connections: Positive = Field(1024, description="of one process, at the same time; beyond them 503")
    header_timeout_ms: Positive = Field(
        10_000, description="a connection whose request's headers take longer is closed"
    )
    body_timeout_ms: Positive = Field(30_000, description="a body that takes longer to arrive gets 408")
    read_timeout_ms: Positive = Field(
        30_000, description="a client that reads nothing of its answer for so long is disconnected"
    )
    deadline_ms: Positive = Field(
        30_000, description="a request that is not answered by then gets 504; x-deadline-ms may ask for less"
    )
    drain_ms: Annotated[int, Field(ge=0)] = Field(
        500, description="after SIGTERM readiness is off for so long before the port closes"
    )
    api_keys: SecretStr = Field(
        SecretStr(""), description="keys that clients must send, with commas between; none: open"
    )
    api_keys_file: Path | None = Field(
        None, description="the same from a file, a key a line, read anew when it changes"
    )
    admin_keys: SecretStr = Field(SecretStr(""), description="keys that may also load and unload models")
    admin_keys_file: Path | None = Field(None, description="the same from a file, a key a line")
    model_control: Literal["none", "explicit"] = Field(
        "none", description="explicit: models are loaded and unloaded at run time, by /v2/repository and SIGHUP"
    )
    allowed_hosts: str = Field(
        "",
        description="names by which model control may be asked, besides localhost and the server's address, with "
        "commas between",
    )
    state_key: SecretStr = Field(
        SecretStr(""),
        description="seals the state tokens of step, the same on all replicas; several with commas between: the first "
        "seals, all open; 32 characters or more each; none: a random one",
    )
    state_lifetime_s: Positive = Field(86_400, description="a state token is accepted for so long")
    max_streams: Positive = Field(256, description="WebSockets of one process, at the same time; beyond them 503")
    max_frame_bytes: Annotated[int, Field(ge=1024)] = Field(
        1_000_000, description="largest frame of a WebSocket; a larger one closes it with code 1009"
    )
    stream_idle_ms: Positive = Field(300_000, description="a WebSocket that sends no frame for so long is closed")
    cors_origins: str = Field("", description="web origins that browsers may ask from, with commas between; none: off")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what is logged")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto is text on a terminal, else JSON lines"
    )
    access_log: bool = Field(False, description="log every request (method, path, status, time; never a text)")
    metrics_dir: Path | None = Field(
        None, description="where worker processes share their metrics; with several workers a temporary folder"
    )
    traces: bool = Field(
        False, description="send OpenTelemetry traces, as OTEL_EXPORTER_OTLP_ENDPOINT says; extra otel"
    )

    @field_validator("state_key")
    @classmethod
    def _state_keys(cls, value: SecretStr) -> SecretStr:
        if any(len(key) < LEAST_KEY for key in _keys(value)):
            raise ValueError(f"a key has {LEAST_KEY} characters or more: `openssl rand -hex 32` makes one")
        return value

    @property
    def state_keys(self) -> tuple[str, ...]:
        return _keys(self.state_key)

    @field_validator("precision")
    @classmethod
    def _precisions(cls, value: str) -> str:
        _parsed(value)
        return value

    def precision_of(self, model: str) -> Precision:
        every, single = _parsed(self.precision)
        return single.get(model, every)

    @property
    def models_of_a_precision(self) -> tuple[str, ...]:
        """The models that `precision` names one by one."""
        return tuple(_parsed(self.precision)[1])

    @property
    def uses_bfloat16(self) -> bool:
        every, single = _parsed(self.precision)
        return "bfloat16" in (every, *single.values())


def _keys(value: SecretStr) -> tuple[str, ...]:
    return tuple(key.strip() for key in value.get_secret_value().split(",") if key.strip())


def _parsed(value: str) -> tuple[Precision, dict[str, Precision]]:
    """(the precision of all models, those of single models) from ``bfloat16`` or ``name=bfloat16,other=float32``.

    Raises: ValueError.
    """
    every: Precision = "float32"
    single: dict[str, Precision] = {}
    for part in value.split(","):
        name, equals, asked = part.strip().rpartition("=")
        found = _PRECISIONS.get(asked.strip())
        if found is None or bool(name.strip()) != bool(equals):
            raise ValueError("allowed are float32, bfloat16, or name=bfloat16 of single models, with commas between")
        if equals:
            single[name.strip()] = found
        else:
            every = found
    return every, single


def read_settings(options: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process's environment; options, by field, win over it.

    Raises: StartupError, naming the variable, what was found and what is allowed.
    """
    try:
        return Settings(**(options or {}))  # type: ignore[arg-type]  # a string, as in the environment: it is validated
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{PREFIX}{str(first['loc'][0]).upper()}"
        message = first["msg"].removeprefix("Value error, ")
        found = "set" if name.endswith(("KEY", "KEYS")) else repr(first["input"])
        raise StartupError(f"{name} is {found}: {message[:1].lower()}{message[1:]}") from None


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """One sentence about each GATESCOPE_ variable that is no setting, with the setting that it may stand for."""
    known = [name.upper() for name in Settings.model_fields]
    sentences = []
    for variable in sorted(environment):
        name = variable.upper().removeprefix(PREFIX)
        if not variable.upper().startswith(PREFIX) or name in (*known, *_CLIENTS) or _LINKS.fullmatch(name):
            continue
        near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
        hint = f"did you mean {PREFIX}{near[0]}?" if near else "`gatescope settings` lists them all"
        sentences.append(f"{variable} is no setting and has no effect: {hint}")
    return sentences


def source(name: str, environment: Mapping[str, str], options: Mapping[str, str]) -> str:
    """Where a setting's value comes from: option, environment or default."""
    if name in options:
        return "option"
    return "environment" if f"{PREFIX}{name}".upper() in map(str.upper, environment) else "default"
