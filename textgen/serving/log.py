"""The log: a line for each request and for whatever else is said, as text or as JSON."""

import time
from collections.abc import Callable
from typing import Any

from textgen.messages import json_line, shown


class Log:
    """Writes lines."""

    def __init__(self, tell: Callable[[str], None], *, is_json: bool = False):
        self._tell, self._is_json = tell, is_json

    def say(self, message: str) -> None:
        """Something that is about no request."""
        self._tell(_dated({"message": message}) if self._is_json else f"textgen: {message}")

    def note(self, facts: dict[str, Any], more: dict[str, Any]) -> None:
        """A request: what every line says of one, and what is known of this one beside."""
        if self._is_json:
            self._tell(_dated(facts | more))
            return
        named = [f"{name}={shown(value)}" for name, value in more.items()]
        self._tell(" ".join([*map(str, facts.values()), *named]))


def _dated(facts: dict[str, Any]) -> str:
    return json_line({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **facts})
