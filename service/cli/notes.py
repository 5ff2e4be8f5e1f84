"""What the library says while it works, as lines on standard error; what is probably not meant begins with `note:`."""

import logging
import sys


class _Line(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        return f"note: {message}" if record.levelno >= logging.WARNING else message


def show_notes() -> None:
    """Show them, once a process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
