"""Headless Chromium, where it is installed: opens a page, looks at it, presses keys, notes what goes wrong.

It is spoken to over a pipe, in the DevTools protocol, so nothing listens on a port.
"""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")
QUIET = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
QUIET += " --disable-component-update --disable-sync --disable-extensions --hide-scrollbars --mute-audio"
MODIFIERS = {"Alt": 1, "Ctrl": 2, "Shift": 8}
KEYS = {"Tab": 9, "Enter": 13, " ": 32, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


class Browser:
    """One page at a time; `problems` are the errors of its console and what it asked for beyond its file or server."""

    def __init__(self, commands: Any, answers: Any):
        self._commands, self._answers = commands, answers
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._events: list[dict[str, Any]] = []
        self._own = ""  # how the addresses begin that the page may ask for
        self.problems: list[str] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while (answer := self._next()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        content = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "Chromium ended"
            content += byte
        message = json.loads(content)
        if "method" in message:
            self._note(message["method"], message["params"])
            self._events.append(message)
        return message

    def _note(self, method: str, found: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = found["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        if method == "Runtime.consoleAPICalled" and found["type"] in ("error", "warning", "assert"):
            self.problems.append(str(found["args"]))
        if method == "Log.entryAdded" and found["entry"]["level"] in ("error", "warning"):
            self.problems.append(found["entry"]["text"])
        if method == "Network.requestWillBeSent" and not found["request"]["url"].startswith((self._own, "blob:")):
            self.problems.append(f"asked for {found['request']['url']:.80}")

    def open(self, page: Path | str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Show the page in a file or at an address, once it is loaded; `problems` are its own from now on."""
        self._session = None
        self._own = page if isinstance(page, str) else page.absolute().as_uri()
        self.problems = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.load("Page.navigate", url=self._own)

    def load(self, method: str = "Page.reload", **parameters: Any) -> None:
        """Load the page, once more if nothing else is said."""
        self._events.clear()
        self.call(method, **parameters)
        while not self._is_loaded():
            self._next()

    def _is_loaded(self) -> bool:
        """Whether the page has come and was loaded then; the empty page before it may be loaded late."""
        events = iter(self._events)
        has_come = any(
            event["method"] == "Page.frameNavigated" and event["params"]["frame"]["url"] != "about:blank"
            for event in events
        )
        return has_come and any(event["method"] == "Page.loadEventFired" for event in events)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, a promise's too."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def settle(self) -> None:
        """Wait until what was changed is drawn."""
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def press(self, keys: str) -> None:
        """A key goes down and up, alone or as in "Ctrl+Shift+z"."""
        *held, key = keys.split("+")
        text = {"text": "\r" if key == "Enter" else key} if key in ("Enter", " ") and not held else {}
        code = {"key": key, "code": "Space" if key == " " else key}
        code |= {"windowsVirtualKeyCode": KEYS.get(key, ord(key[0].upper()))}
        code |= {"modifiers": sum(MODIFIERS[name] for name in held)}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def wait(self, condition: str) -> None:
        """Until a JavaScript expression is true, for at most ten seconds."""
        seen = f"new Promise((done) => {{ const end = Date.now() + 1e4; const look = () => ({condition}) ? done(true) "
        seen += ": Date.now() > end ? done(false) : setTimeout(look, 10); look(); })"
        assert self.evaluate(seen), f"{condition}: {self.problems}"

    def write(self, text: str) -> None:
        """Text comes in as from a keyboard, at the caret."""
        self.call("Input.insertText", text=text)

    def point(self, x: float, y: float, *, click: bool = False) -> None:
        """Move the mouse there, and perhaps click."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of what is seen, or of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, ended when the block ends."""
    commands_in, commands_out = os.pipe()
    answers_in, answers_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        arguments = [PROGRAM, *QUIET.split(), f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
        process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{commands_in} 4>&{answers_out}', "bash", *arguments],
            pass_fds=(commands_in, answers_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands_in)
        os.close(answers_out)
        try:
            with os.fdopen(commands_out, "wb") as commands, os.fdopen(answers_in, "rb") as answers:
                yield Browser(commands, answers)
        finally:  # its other processes end with it
            process.kill()
            process.wait()
