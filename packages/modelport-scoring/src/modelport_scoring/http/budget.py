"""The memory that bodies take before anything is begun with them: one account for all connections of a process.

Small ones that are being received are not in it, so that small requests neither cost more nor wait, whatever others do.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from modelport_scoring.settings.service import Limits
from modelport_scoring.settings.share import Share

COUNTED_FROM = 64 * 1024
"""Bytes of a body: what is smaller, a connection may hold as it may hold a head."""

READ_BYTES = 256 * 1024
"""One read brings so much at most."""

LEAST_LINE_BYTES = 16 * READ_BYTES
"""There is always room for a few to wait in."""

PACE_S = 2.0
"""For so long the pace of a body is measured."""


class Uploader(Protocol):
    """A connection, as the budget sees it."""

    @property
    def limits(self) -> Limits: ...

    @property
    def address(self) -> bytes:
        """The client's."""

    def hold_back(self, held_back: bool) -> None:
        """Read no more of the body for now, or read on."""

    def give_up(self) -> None:
        """Refuse the request: there is no room for it."""


class Upload:
    """A body that is not whole."""

    __slots__ = ("address", "granted", "seen_at", "seen_size", "size", "waits_since", "wanted")

    def __init__(self, address: bytes) -> None:
        self.address = address
        self.size = 0
        """Bytes that are there."""
        self.wanted = 0
        """Bytes that it takes: its length, or if that is not told, what one more read may make of it."""
        self.granted = 0
        """Bytes that it may take; 0: it waits to begin."""
        self.waits_since: float | None = None
        """None: it may go on."""
        self.seen_at = 0.0
        """Since when, and from which size on, its pace is measured."""
        self.seen_size = 0

    def grow(self, size: int, length: int | None) -> None:
        """There are so many bytes of it now. ``length``: how many there will be, where that is told."""
        self.size = size
        self.wanted = size + READ_BYTES if length is None else length


class Budget:
    """Bounds what all bodies hold that are not whole yet, by ``limits.max_buffered_bytes``.

    Room is given for all of a body where its length is told: who has it will come to its end. The oldest has it in any
    case, whatever it takes. The others are held back until there is room, which goes to the address that has least of
    it, and there to who began first. While any waits, those that have room must come fast enough to be whole within
    ``limits.request_timeout_s``, now and not on average: who only keeps others out is given up.
    """

    def __init__(self, *, share: Share, now: Callable[[], float]) -> None:
        self._share = share
        self._now = now
        self._uploads: dict[Uploader, Upload] = {}
        """The oldest first."""
        self._waiting = 0
        """How many of them are held back."""
        self._granted: Counter[bytes] = Counter()
        """Bytes that they may take, by address."""
        self._line: Counter[bytes] = Counter()
        """Bytes of those that wait to begin, by address."""
        self._put_off = 0
        """Bytes of whole ones that nothing was begun with."""

    def grew(self, uploader: Uploader, *, size: int, length: int | None) -> bool:
        """There are ``size`` bytes of its body, and more are to come. False: there is no room, not even to wait in."""
        upload = self._uploads.get(uploader)
        if upload is None:
            return self._began(uploader, size, length)
        if not upload.granted:
            self._line[upload.address] += size - upload.size
        upload.grow(size, length)
        if upload.wanted > upload.granted and upload.waits_since is None:
            self._grant(upload) if self._has_room(uploader, upload) else self._hold_back(uploader, upload)
        return True

    def is_full(self, limits: Limits) -> bool:
        """Whether there is no room for another one, not even to wait in."""
        return self._waiting > 0 and self._line.total() + COUNTED_FROM > self._longest_line(limits)

    def ended(self, uploader: Uploader) -> None:
        """Its body is whole, or will never be."""
        upload = self._uploads.pop(uploader, None)
        if upload is None:
            return
        take(self._granted, upload.address, upload.granted)
        if not upload.granted:
            take(self._line, upload.address, upload.size)
        if upload.waits_since is not None:
            self._waiting -= 1
            uploader.hold_back(False)
        if self._waiting:
            self._let_go_on()

    def look(self) -> None:
        """Called about once a second: give up what waits for too long, or comes too slowly while others wait."""
        now = self._now()
        for uploader, upload in list(self._uploads.items()) if self._waiting else ():
            limits = uploader.limits
            if upload.waits_since is not None:
                if now - upload.waits_since >= limits.queue_wait_ms / 1000:
                    uploader.give_up()
            elif self._waiting and (passed_s := now - upload.seen_at) >= PACE_S:
                if upload.size - upload.seen_size < passed_s * upload.granted / limits.request_timeout_s:
                    uploader.give_up()
                else:
                    upload.seen_at, upload.seen_size = now, upload.size

    def put_off(self, size: int, limits: Limits) -> bool:
        """Keep a whole body until the requests before it on its connection are answered. False: there is no room."""
        if self._put_off and self._put_off + size > self._share.part(limits.max_queue_bytes):
            return False
        self._put_off += size
        return True

    def taken_up(self, size: int) -> None:
        """A body that was put off waits no more."""
        self._put_off -= size

    # --- who may go on ------------------------------------------------------------------------------------------------

    def _began(self, uploader: Uploader, size: int, length: int | None) -> bool:
        upload = Upload(uploader.address)
        upload.grow(size, length)
        is_served = not self._uploads or (not self._waiting and self._has_room(uploader, upload))
        if not is_served and not self._may_wait(upload, self._longest_line(uploader.limits)):
            return False
        self._uploads[uploader] = upload
        if is_served:
            self._grant(upload)
        else:
            self._line[upload.address] += size
            self._hold_back(uploader, upload)
        return True

    def _may_wait(self, upload: Upload, longest: int) -> bool:
        """One address has half of the line at most, so that it does not keep all others out."""
        return self._line[upload.address] + upload.size <= longest // 2 and self._line.total() + upload.size <= longest

    def _has_room(self, uploader: Uploader, upload: Upload) -> bool:
        oldest, first = next(iter(self._uploads.items()))
        if oldest is uploader:
            return True
        most = self._share.part(uploader.limits.max_buffered_bytes)
        return self._granted.total() - first.granted + upload.wanted - upload.granted <= most - most // 8

    def _longest_line(self, limits: Limits) -> int:
        """Bytes that those may have together that wait to begin."""
        return max(self._share.part(limits.max_buffered_bytes) // 8, LEAST_LINE_BYTES)

    def _grant(self, upload: Upload) -> None:
        if not upload.granted and upload.waits_since is not None:
            take(self._line, upload.address, upload.size)
        self._granted[upload.address] += upload.wanted - upload.granted
        upload.granted = upload.wanted

    def _hold_back(self, uploader: Uploader, upload: Upload) -> None:
        now = upload.waits_since = self._now()
        if not self._waiting:
            for each in self._uploads.values():
                each.seen_at, each.seen_size = now, each.size
        self._waiting += 1
        uploader.hold_back(True)

    def _let_go_on(self) -> None:
        """All for whom there is room, up to the first for whom there is none."""
        oldest, first = next(iter(self._uploads.items()))
        if first.waits_since is not None:
            self._go_on(oldest, first)
        waiting = [each for each in self._uploads.items() if each[1].waits_since is not None]
        line = [(self._granted[upload.address], place, upload.address) for place, (_, upload) in enumerate(waiting)]
        heapq.heapify(line)
        while line:
            granted, place, address = heapq.heappop(line)
            if granted < self._granted[address]:  # another one of that address has got room since
                heapq.heappush(line, (self._granted[address], place, address))
            elif self._has_room(*waiting[place]):
                self._go_on(*waiting[place])
            else:
                return

    def _go_on(self, uploader: Uploader, upload: Upload) -> None:
        self._grant(upload)
        upload.waits_since = None
        upload.seen_at, upload.seen_size = self._now(), upload.size
        self._waiting -= 1
        uploader.hold_back(False)


def take(counts: Counter[bytes], address: bytes, size: int) -> None:
    """Count so many bytes less, and nothing any more for who has none."""
    counts[address] -= size
    if not counts[address]:
        del counts[address]
