"""The body of a request for completions -> what is asked for, checked.

OpenAI's fields have OpenAI's defaults: 16 tokens, temperature 1, a seed that nobody has chosen. Whatever else
SamplingConfig has is a field too, with its own default.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from textgen.config import SamplingConfig
from textgen.config.sampling import RANDOM
from textgen.errors import SettingError
from textgen.messages import nearest, shown
from textgen.schema import LONGEST_RECEIVED, from_python, names_of
from textgen.serving.errors import RefusalError

DEFAULT_TOKENS, DEFAULT_TEMPERATURE = 16, 1.0
MOST_LOGPROBS, MOST_STOPS, LONGEST_STOP = 20, 16, 200
MOST_FACTS = 250_000  # numbers beside tokens in one answer: some 6 MB of JSON
MOST_DIGITS = 300  # of a whole number: no larger one is a number with a point, too
LENGTH = re.compile(r"`length(?=[=`])")
MOST_ECHOED = 4_000_000  # characters of prompts in one answer
SETTINGS = [name for name in names_of(SamplingConfig) if name not in ("endless", "beams")]
FIELDS = ("model", "prompt", "max_tokens", "n", "stream", "stream_options", "echo", "logprobs", "user")
UNUSED: dict[str, tuple[Any, ...]] = {
    "suffix": ("", None),
    "best_of": (None,),
    "logit_bias": ({}, None),
}  # and the values that ask for nothing


@dataclasses.dataclass(frozen=True)
class Order:
    """What a request for completions asks for."""

    model: Any
    prompts: list[str | list[int]]
    config: SamplingConfig
    max_tokens: int
    n: int
    stream: bool
    include_usage: bool
    echo: bool
    logprobs: int | None
    given: dict[str, Any] = dataclasses.field(default_factory=dict)  # all fields, as they were sent

    @property
    def num_echoed(self) -> int:
        """Characters, or ids, of prompts that the answer may hold."""
        return self.n * sum(map(len, self.prompts)) if self.echo else 0

    @property
    def num_facts(self) -> int:
        """Numbers that the answer may hold: the probability of each token, and those of the likeliest beside it."""
        if self.logprobs is None:
            return 0
        return (self.n * len(self.prompts) * self.max_tokens + self.num_echoed) * (1 + self.logprobs)

    def check_size(self) -> None:
        """Raise RefusalError where the answer could be too large."""
        if self.num_facts > MOST_FACTS:
            message = (
                f"`logprobs` of all tokens may be {MOST_FACTS:,} numbers at most, and these are {self.num_facts:,}"
            )
            raise RefusalError(400, f"{message}. Ask for fewer logprobs, texts or tokens", param="logprobs")
        if self.num_echoed > MOST_ECHOED:
            message = f"`echo` gives {MOST_ECHOED:,} characters at most, and these are {self.num_echoed:,}"
            raise RefusalError(400, f"{message}. Ask for fewer texts, or leave it out", param="echo")


def document_of(body: bytes) -> dict[str, Any]:
    """The JSON object in the body of a request. Raises RefusalError."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number of JSON")

    def whole_number(digits: str) -> int:
        if len(digits) > MOST_DIGITS:
            raise ValueError(f"a number has {len(digits):,} digits, and {MOST_DIGITS} are the most")
        return int(digits)

    try:
        document = json.loads(body.decode("utf-8"), parse_constant=refuse, parse_int=whole_number)
    except RecursionError:
        raise RefusalError(400, "the body is nested too deeply") from None
    except ValueError as problem:  # of JSON and of UTF-8, both
        raise RefusalError(400, f"the body is no JSON: {shown(problem, 200)}") from None
    if not isinstance(document, dict):
        raise RefusalError(400, f"the body must be an object of JSON. Received: {in_json(document)}")
    return document


def order_of(document: dict[str, Any], most_tokens: int) -> Order:
    """What `document` asks for. Raises RefusalError."""
    given = {name: value for name, value in document.items() if value is not None}
    known = (*FIELDS, *UNUSED, *SETTINGS)
    for name, value in given.items():
        if name not in known:
            advice = nearest(name[:80], known) or "Leave it out"
            raise RefusalError(400, f"unknown field {shown(repr(name), 80)}. {advice}", param=name[:80])
        if name in UNUSED and value not in UNUSED[name] and not (name == "best_of" and value == given.get("n", 1)):
            raise RefusalError(400, f"`{name}` is not supported. Leave it out", param=name)
    n, stream = whole(given, "n", 1, 1, 128), flag(given, "stream")
    length = given.get("length")
    default = DEFAULT_TOKENS if length is None else most_tokens
    max_tokens = whole(given, "max_tokens", default, 0, most_tokens)
    options = given.get("stream_options", {})
    if not isinstance(options, dict):
        raise RefusalError(
            400, f"`stream_options` must be an object. Received: {in_json(options)}", param="stream_options"
        )
    echo, logprobs = flag(given, "echo"), None
    if given.get("logprobs", False) is not False:
        logprobs = whole(given, "logprobs", 0, 0, MOST_LOGPROBS)
    if max_tokens == 0 and not echo:
        raise RefusalError(400, "`max_tokens` of 0 is for `echo` alone", param="max_tokens")
    order = Order(
        model=given.get("model"),
        prompts=prompts_of(given.get("prompt", "")),
        config=config_of(given, max_tokens or most_tokens),
        max_tokens=max_tokens,
        n=n,
        stream=stream,
        include_usage=flag(options, "include_usage"),
        echo=echo,
        logprobs=logprobs,
        given=given,
    )
    order.check_size()
    return order


def config_of(given: dict[str, Any], max_tokens: int) -> SamplingConfig:
    """The settings of sampling. Raises RefusalError."""
    settings = {"length": max_tokens, "temperature": DEFAULT_TEMPERATURE, "seed": RANDOM}
    settings |= {name: given[name] for name in SETTINGS if name in given}
    seed = settings["seed"]
    if seed == RANDOM or (isinstance(seed, int) and seed < 0):
        del settings["seed"]
    try:
        config = SamplingConfig(**from_python(SamplingConfig, settings))
        if "seed" not in settings:
            config = config.replace(seed=RANDOM)
    except SettingError as problem:
        message = in_words_of_json(str(problem), given)
        raise RefusalError(400, message, param=setting_in(message)) from None
    if len(config.stop) > MOST_STOPS or any(len(text) > LONGEST_STOP for text in config.stop):
        raise RefusalError(400, f"`stop` takes {MOST_STOPS} texts of {LONGEST_STOP} characters at most", param="stop")
    return config


def in_words_of_json(message: str, given: Mapping[str, Any]) -> str:
    """A message about settings for whoever sent them as fields: their names, and the values as JSON has them."""
    before, received, _ = message.partition("Received: ")
    name = setting_in(before)
    if received and name is not None and name in given:
        message = f"{before}Received: {in_json(given[name])}"
    return message if "length" in given else LENGTH.sub("`max_tokens", message)


def in_json(value: Any) -> str:
    """A value that was sent, in a message."""
    try:
        return shown(json.dumps(value, ensure_ascii=False), LONGEST_RECEIVED)
    except RecursionError:
        return "lists or objects within one another"


def setting_in(message: str) -> str | None:
    """The field that a message names first."""
    return next((name for name in re.findall(r"`(\w+)", message) if name in (*SETTINGS, "max_tokens")), None)


def prompts_of(prompt: Any) -> list[str | list[int]]:
    """Texts or lists of token ids. Raises RefusalError."""
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and prompt:
        if all(isinstance(item, str) for item in prompt):
            return list(prompt)
        if _are_ids(prompt):
            return [prompt]
        if all(isinstance(item, list) and _are_ids(item) for item in prompt):
            return list(prompt)
    message = "`prompt` must be a text, a list of texts, a list of token ids or a list of such lists"
    raise RefusalError(400, f"{message}. Received: {in_json(prompt)}", param="prompt")


def _are_ids(items: list[Any]) -> bool:
    return all(isinstance(item, int) and not isinstance(item, bool) for item in items)


def whole(given: dict[str, Any], name: str, default: int, least: int, most: int) -> int:
    """The whole number in a field. Raises RefusalError."""
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        message = f"`{name}` must be a whole number from {least} to {most}. Received: {in_json(value)}"
        raise RefusalError(400, message, param=name)
    return value


def flag(given: dict[str, Any], name: str) -> bool:
    """Whether a field is true. Raises RefusalError."""
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise RefusalError(400, f"`{name}` must be true or false. Received: {in_json(value)}", param=name)
    return value


def text_of(given: dict[str, Any], name: str) -> str:
    """The text in a field. Raises RefusalError."""
    value = given.get(name)
    if not isinstance(value, str):
        raise RefusalError(400, f"`{name}` must be a text. Received: {in_json(value)}", param=name)
    return value
