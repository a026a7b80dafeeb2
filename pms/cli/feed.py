"""Events as they are published, for whoever waits for one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from pms.contract import names
from pms.contract.money import decode_object

Event = dict[str, Any]


class Feed:
    """Subscribed once entered; hears every event from then on, and can wait for one."""

    def __init__(self, redis: Any, *, tell: Callable[[Event], None]) -> None:
        self._listener = redis.pubsub()
        self._tell = tell
        self._heard: list[Event] = []
        self._news = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Feed:
        await self._listener.psubscribe(names.event_channel("*"))
        await self._listener.get_message(timeout=5)  # the confirmation: from here on nothing is missed
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
        await self._listener.aclose()

    async def until(self, wanted: Callable[[Event], bool], *, timeout_s: float) -> Event | None:
        """The first event that is wanted, heard already or still to come; None when the time is over."""
        try:
            async with asyncio.timeout(timeout_s), self._news:
                while True:
                    for event in self._heard:
                        if wanted(event):
                            return event
                    await self._news.wait()
        except TimeoutError:
            return None

    async def _read(self) -> None:
        while True:
            message = await self._listener.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if message is not None:
                event = decode_object(message["data"])
                self._tell(event)
                async with self._news:
                    self._heard.append(event)
                    self._news.notify_all()
