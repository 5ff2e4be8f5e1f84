"""How logs are written: a line of text, or of JSON."""

import json
import logging
import sys
from typing import Literal


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{k}={v}" for k, v in getattr(record, "fields", {}).items())
        line = f"{record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(level: str, form: Literal["auto", "json", "text"]) -> None:
    """Logs on stdout: plain text on a terminal, else JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    as_text = form == "text" or (form == "auto" and sys.stdout.isatty())
    handler.setFormatter(Text() if as_text else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
