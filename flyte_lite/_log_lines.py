"""Where the log of this package goes, if `init` is told: its own logger, and the program's only if asked to."""

from __future__ import annotations

import json
import logging
from typing import Optional, Union

from flyte_lite.errors import ConfigError

_FORMATS = ("console", "json")
_OUR_OWN = "flyte_lite lines"


class _JsonLine(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def show_log(level: Union[int, str, None], form: Optional[str], reset_root: bool) -> None:
    """Show our log on stderr, or leave it as it is if nothing is said.

    Nobody's handlers are touched: lines go to those that the program has, and to one of ours only if it has none.

    Args:
        level: Least level of the logger `flyte_lite`, such as `logging.DEBUG`; None leaves it.
        form: "console" or "json" of what we add; None is "console".
        reset_root: True replaces the handlers of the root logger by one of ours.

    Raises:
        ConfigError: There is no such level or format.
    """
    if form is not None and form not in _FORMATS:
        raise ConfigError(f"log_format is {form!r}; it is 'console' or 'json'")
    logger, root = logging.getLogger("flyte_lite"), logging.getLogger()
    if level is not None:
        try:
            logger.setLevel(level)
        except (ValueError, TypeError):
            raise ConfigError(f"log_level is {level!r}; give a level such as logging.DEBUG, or its name") from None
    for handler in [each for each in logger.handlers if each.get_name() == _OUR_OWN]:
        logger.removeHandler(handler)
    if reset_root:
        root.handlers[:] = [_handler(form)]
    elif (level is not None or form == "json") and not logger.hasHandlers():
        logger.addHandler(_handler(form))


def _handler(form: Optional[str]) -> logging.Handler:
    handler = logging.StreamHandler()
    handler.set_name(_OUR_OWN)
    handler.setFormatter(
        _JsonLine() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    return handler
