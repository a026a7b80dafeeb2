"""Logs: one event a line, as JSON or as coloured text; secrets never reach it."""

from __future__ import annotations

import logging
import os
import sys

import structlog

_EVERY_TASK = ("celery.beat", "celery.worker.strategy", "celery.app.trace")
"""Loggers that write lines for every periodic task, several a second; wanted at DEBUG only."""


def configure(name: str, *, level: str = "INFO", as_json: bool = False) -> None:
    """Set up this process's logging, the standard library's included; `name` marks every line."""
    number = logging.getLevelNamesMapping()[level]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        # Plain tracebacks: rich ones show every local variable, secrets among them.
        else structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.contextvars.bind_contextvars(process=name)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for chatty in _EVERY_TASK:
        logging.getLogger(chatty).setLevel(max(number, logging.WARNING) if number > logging.DEBUG else number)
