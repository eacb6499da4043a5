"""JSON in parts that each take a millisecond or two, so that an event loop gets in between. The bytes are those of
`json.dumps`: in ASCII, so that any text can be sent.
"""

import json
from collections.abc import Iterator
from typing import Any

AT_ONCE = 1000  # items of a list that are made into JSON at once


def as_json(document: Any) -> bytes:
    """`document` at once."""
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")


def json_parts(document: Any) -> Iterator[bytes]:
    """The same in parts; what holds neither objects nor lists is one part, but for a long list."""
    if isinstance(document, dict) and _is_nested(document):
        for index, (name, value) in enumerate(document.items()):
            yield (b"," if index else b"{") + as_json(name) + b":"
            yield from json_parts(value)
        yield b"}"
    elif isinstance(document, list) and any(isinstance(item, dict) and _is_nested(item) for item in document[:1]):
        for index, item in enumerate(document):
            yield b"," if index else b"["
            yield from json_parts(item)
        yield b"]"
    elif isinstance(document, list) and len(document) > AT_ONCE:
        for start in range(0, len(document), AT_ONCE):
            yield (b"," if start else b"[") + as_json(document[start : start + AT_ONCE])[1:-1]
        yield b"]"
    else:
        yield as_json(document)


def _is_nested(document: dict[str, Any]) -> bool:
    return any(isinstance(value, (dict, list)) for value in document.values())
