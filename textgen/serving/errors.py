"""What is refused, as OpenAI's clients expect it."""

import re
from typing import Any

from textgen.errors import TextgenError
from textgen.messages import shown

UNOPENED = "model_unavailable"
TEXTS = ("prompt", "text", "tokens", "stop", "ban", "must_include", "regex")  # fields of which a message may quote


def busy() -> "RefusalError":
    """There is no room now."""
    return RefusalError(429, "the server is busy. Try again in a second", code="server_busy", retry_after=1)


def unopened(name: str, problem: Exception) -> "RefusalError":
    """A model that is served cannot be read; why, and where it lies, is for the log alone."""
    message = f"the model {shown(repr(name), 80)} cannot be opened. The log of the server says why"
    return RefusalError(503, message, param="model", code=UNOPENED, details=str(problem))


class RefusalError(TextgenError):
    """Seen by clients whose request is not carried out."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int = 0,
        allow: str = "",
        details: str = "",
    ):
        """Args: details: what the log says in place of `message`, where a client is told less."""
        super().__init__(message)
        self.details = details
        self.status, self.param, self.code = status, param, code
        self.retry_after, self.allow = retry_after, allow

    def logged(self, *, log_text: bool) -> str:
        """What the log says: nothing of a text that was sent, unless that is wanted."""
        if log_text or self.details:
            return self.details or str(self)
        named = [name for name in [self.param, *re.findall(r"`(\w+)", str(self))] if name in TEXTS]
        if self.status == 400 and named:
            return f"`{named[0]}` is refused. With --log-text, the log says why"
        return str(self).partition(" Received: ")[0]

    def to_json(self) -> dict[str, Any]:
        """The body of the answer."""
        kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(self.status)
        kind = kind or ("server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}
