"""Runs a SavedModel where neither textgen nor tensorflow_text can be imported, as a program without them would.

    python -I reader.py DIRECTORY [tensorflow_text] < requests.json > answers.json

A request holds the inputs of `serving_default` (prompt is a list of strings), an answer its outputs; both files hold a
list. A package that the model needs is named after its directory. This file is run by path, in a process of its own,
and imports nothing of textgen.
"""

import importlib
import importlib.abc
import json
import sys
from typing import Any

BLOCKED = ("textgen", "tensorflow_text")


class Blocker(importlib.abc.MetaPathFinder):
    """Refuses to import what an exported model must not need."""

    def __init__(self, needed: list[str]):
        self.blocked = set(BLOCKED).difference(needed)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Raise ImportError for a blocked package. The finders after this one find every other."""
        if name.partition(".")[0] in self.blocked:
            raise ImportError(f"{name} is blocked, so that an exported model cannot lean on it")


def answer(directory: str, requests: list[dict[str, Any]]) -> list[dict[str, list[str]]]:
    """Load the model and call its `serving_default` once for each request."""
    import tensorflow as tf  # noqa: PLC0415

    # NOTE: the loaded object owns the variables, so it has to be kept as long as its signature is called.
    loaded = tf.saved_model.load(directory)
    serve = loaded.signatures["serving_default"]
    types = {name: spec.dtype for name, spec in serve.structured_input_signature[1].items()}
    calls = [{name: tf.constant(value, types[name]) for name, value in request.items()} for request in requests]
    outputs = [serve(**call) for call in calls]
    return [{name: [s.decode() for s in value.numpy()] for name, value in output.items()} for output in outputs]


if __name__ == "__main__":
    sys.meta_path.insert(0, Blocker(needed=sys.argv[2:]))
    for package in sys.argv[2:]:  # its operations have to be there before the graph is loaded
        importlib.import_module(package)
    json.dump(answer(sys.argv[1], json.load(sys.stdin)), sys.stdout)
