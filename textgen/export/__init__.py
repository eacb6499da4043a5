"""A model in, a SavedModel out: a prompt goes in, text comes out, in any TensorFlow runtime.

`module.py` is the exported graph: tokenizer, network, sampling and detokenizer in one, `ends.py` where its texts end.
`operations.py` keeps it to operations that every runtime has, `check.py` reloads what was written in a fresh process,
which runs `reader.py`, and compares its texts with the NumPy engine's. `saved_model.py` puts these together and writes
the directory, whole or not at all. Importing this imports TensorFlow.
"""

from textgen.export.saved_model import ExportResult, export_model

__all__ = ["ExportResult", "export_model"]
