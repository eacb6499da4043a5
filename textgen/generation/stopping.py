"""Stop strings in a stream: nothing that could still turn into one is shown too early."""

from collections.abc import Sequence


class StopScanner:
    """Passes text on until a stop string appears; the stop string itself is not passed on."""

    def __init__(self, stop: Sequence[str]):
        self.stop = tuple(stop)
        self.is_stopped = False
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown after `piece` has come; sets `is_stopped` when a stop string is complete."""
        text = self._held + piece
        # (end, start): the one that is complete first counts, so it does not matter how the text comes in pieces.
        found = [(start + len(s), start) for s in self.stop if (start := text.find(s)) >= 0]
        if found:
            self.is_stopped, self._held = True, ""
            return text[: min(found)[1]]
        held = max((_overlap(text, s) for s in self.stop), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """What was held back, once no more text comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(stop) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
