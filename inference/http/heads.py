"""Heads that came before, byte for byte: parsed once, and looked up from then on."""

from __future__ import annotations

from inference.http.messages import Head

# Of one generation; two are kept. Longer heads are rare, and cost more to look up.
ENTRIES = 1024
LONGEST = 1024
# Makes every head another one: nothing to remember.
UNIQUE = "x-request-id"


class Heads:
    """At most twice ``entries`` heads of at most ``LONGEST`` bytes each.

    What is asked for stays: the younger generation, once it is full, becomes the older one, and
    what is found in the older one moves back. So heads that never come again cost no more than
    their own insertion, and push out nothing that is in use.
    """

    def __init__(self, entries: int = ENTRIES) -> None:
        self.entries = entries
        self.young: dict[bytes, Head] = {}
        self._old: dict[bytes, Head] = {}

    def find(self, raw: bytes) -> Head | None:
        found = self.young.get(raw)
        if found is None and (found := self._old.get(raw)) is not None:
            self.put(raw, found)
        return found

    def put(self, raw: bytes, head: Head) -> None:
        """Remember a head that was accepted; one that cannot come again so is not."""
        if len(raw) > LONGEST or UNIQUE in head.headers:
            return
        if len(self.young) >= self.entries:
            self._old, self.young = self.young, {}
        self.young[raw] = head
