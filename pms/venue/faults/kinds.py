"""All that a rule can make go wrong: the bad days of the real exchange, each seen there by somebody."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class FaultKind(StrEnum):
    """Where a rule acts. BEFORE: nothing has executed. AFTER: executed and journaled, not yet answered."""

    # Requests, of REST and of the WebSocket trading API
    DELAY_BEFORE = "delay_before"
    DELAY_AFTER = "delay_after"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    CUT_BEFORE = "cut_before"
    CUT_AFTER = "cut_after"
    STATUS_BEFORE = "status_before"
    STATUS_AFTER = "status_after"
    LATE_AT_ENGINE = "late_at_engine"
    SKEW_CLOCK = "skew_clock"
    USE_UP_WEIGHT = "use_up_weight"
    BAN = "ban"
    FILL_FIRST = "fill_first"
    # What a request reads
    STALE_READS = "stale_reads"
    STALE_SNAPSHOT = "stale_snapshot"
    HIDE_OPEN_ORDER = "hide_open_order"
    # User events
    WITHHOLD_EVENT = "withhold_event"
    DUPLICATE_EVENT = "duplicate_event"
    DELAY_EVENT = "delay_event"
    EXPIRE_KEY = "expire_key"
    DELETE_KEY = "delete_key"
    # Market streams
    DROP_DIFF = "drop_diff"
    LATE_CLOSE = "late_close"
    # Connections
    CUT_SOCKET = "cut_socket"
    MUTE_SOCKET = "mute_socket"
    SHUT_SOCKET = "shut_socket"
    # What parsers have not met yet: in answers, user events and market streams alike
    UNKNOWN_EVENT = "unknown_event"
    UNKNOWN_FIELD = "unknown_field"


BEFORE: Final = (
    FaultKind.DELAY_BEFORE,
    FaultKind.HANG_BEFORE,
    FaultKind.CUT_BEFORE,
    FaultKind.STATUS_BEFORE,
    FaultKind.LATE_AT_ENGINE,
    FaultKind.USE_UP_WEIGHT,
    FaultKind.BAN,
    FaultKind.FILL_FIRST,
)
AFTER: Final = (FaultKind.DELAY_AFTER, FaultKind.HANG_AFTER, FaultKind.CUT_AFTER, FaultKind.STATUS_AFTER)
ON_EVENT: Final = (
    FaultKind.WITHHOLD_EVENT,
    FaultKind.DUPLICATE_EVENT,
    FaultKind.DELAY_EVENT,
    FaultKind.EXPIRE_KEY,
    FaultKind.DELETE_KEY,
)
ON_SOCKET: Final = (FaultKind.CUT_SOCKET, FaultKind.MUTE_SOCKET, FaultKind.SHUT_SOCKET)
ON_MESSAGE: Final = (FaultKind.UNKNOWN_EVENT, FaultKind.UNKNOWN_FIELD)
