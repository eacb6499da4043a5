"""A model as a program that needs no textgen: a prompt goes in, text comes out.

    signature     what an export takes and gives, derived from SamplingConfig
    module        the graph: tokenizer, network, sampling and detokenizer in one
    operations    which operations it may hold: those that every runtime has
    check         its texts against the NumPy engine's
    saved_model   the format SavedModel: writes it, and runs it in a fresh process
    reader        what that process runs
    writing       a format -> its directory, whole, checked, or not at all

Importing this imports TensorFlow.
"""

from textgen.export.writing import ExportResult, export_model

__all__ = ["ExportResult", "export_model"]
