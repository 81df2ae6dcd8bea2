"""The large bodies of one worker's requests and answers, on their way through the memory that it shares with us."""

from __future__ import annotations

from modelport_scoring.workers.arena import Arena, Arriving, arriving_in
from modelport_scoring.workers.numbers import write_numbers
from modelport_scoring.workers.ticket import Ticket
from modelport_worker.frames import NUMBERS, SHARED, SLOT

Payload = bytes | bytearray | memoryview


class LargeBodies:
    """What crosses in the arena instead of in a frame. A ticket has a slot from its sending until its answer, in which
    its answer may lie, and its body, unless that has arrived in the arena."""

    __slots__ = ("_arena",)

    def __init__(self, arena: Arena) -> None:
        self._arena = arena

    def send(self, ticket: Ticket) -> tuple[Payload, int]:
        """The payload and the flags of the ticket's SCORE frame: SLOT and SHARED, if there is room."""
        size, arriving = len(ticket.payload), arriving_in(ticket.payload)
        if arriving is not None and self.holds(arriving):
            # Not into its own slot: another worker may have to score it again, and a copy of it may wait for its turn.
            start, slot = arriving.slot.offset, self._arena.take(size)
        else:
            slot = self._arena.put(ticket.payload)
            if slot is None:
                return ticket.payload, ticket.flags
            start = slot.offset
        ticket.slot = slot
        answer, room = (0, 0) if slot is None else slot
        return SLOT.pack(start, size, answer, room), ticket.flags | SHARED

    def memory_for(self, size: int) -> memoryview | None:
        """Memory for a body that is on its way here; None where there is none."""
        return self._arena.receive(size)

    @property
    def arriving(self) -> int:
        """How many bodies are on their way here, or have come and are held."""
        return self._arena.arriving

    def holds(self, arriving: Arriving) -> bool:
        """Whether that body lies here."""
        return arriving.arena is self._arena

    def receive(self, ticket: Ticket, flags: int, payload: bytes) -> bytes | memoryview:
        """What the payload of the ticket's RESULT stands for, or has still to become. A view is of the slot, and to be
        released before that is freed. Raises ValueError, TypeError or struct.error where there is no such thing."""
        if not flags & SHARED:
            return write_numbers(payload)
        if ticket.slot is None:
            raise ValueError("it says that it lies in memory that it did not get")
        view = self._arena.view(ticket.slot, SLOT.unpack(payload)[1])
        if not flags & NUMBERS:
            return view
        with view:
            return write_numbers(view)

    @property
    def moves(self) -> int:
        """Changes with each body that begins or ends to cross."""
        return self._arena.moves

    def give_back(self) -> None:
        """Give memory back that none of them needs now."""
        self._arena.give_back()

    def free(self, ticket: Ticket) -> None:
        """The ticket has been answered."""
        slot, ticket.slot = ticket.slot, None
        if slot is not None:
            self._arena.free(slot)
