"""A model as a program that needs no textgen: a prompt goes in, text comes out.

    requests      what an export is asked, derived from SamplingConfig
    signature     that in TensorFlow's words
    module        the graph: tokenizer, network, sampling and detokenizer in one
    operations    which operations it may hold: those that every runtime has
    check         its texts against the NumPy engine's
    saved_model   the format SavedModel: writes it, and runs it in a fresh process
    reader        what that process runs
    formats       the formats by their names
    writing       a format -> its directory, whole, checked, or not at all
    document      a model without its weights, as JSON: vocabulary, rules, tables of Unicode
    page          a page that holds a model and writes (its style and scripts are in pages/)
    step          the network's step as a file, with its description beside it; an engine that runs it
    onnx_step     that file as ONNX, and onnxruntime, which runs it
    litert_step   that file as LiteRT, and the interpreter, which runs it

Only what makes a SavedModel or LiteRT imports TensorFlow: signature, module, operations, saved_model and litert_step.
"""

from textgen.export.writing import ExportResult, export_model

__all__ = ["ExportResult", "export_model"]
