"""textgen: train a small language model on your own text, and let it write.

The map, in the order in which text becomes a model and a model becomes text. A file imports from those above it only;
`tests/test_architecture.py` keeps it so.

    errors              everything a user can cause, shown as one line
    messages            how things are said: harmless on a terminal, near misses, plurals, how far a task is
    streams             standard output and error: whether they can be written, and harmless on a terminal
    memory              how much is free, and refusing what needs more
    cores               how many there are, what a run keeps of that, and work for another one
    schema              what a setting is: a range, a sentence, to and from JSON
    arguments           what a Python program gives, checked; notices on their way to it
    cells               the facts of the recurrent cells, one record a cell
    config/             every setting of a text, a model, a training, a sampling: declared once
    tokenizers/         text <-> token ids                               (graph_*.py: as TensorFlow operations)
    records             what a model says about itself
    sketch              a text -> a sample of its passages, which tells whether a model has read it
    store/              the model directory, checkpoints, locks: written whole, read strictly
    corpus/             files, folders, catalogue and downloads -> text
    dataset/            a text -> token ids on disk, split, kept; token ids -> batches, a pure function of (seed, step)
    adapting            how a model that knows a language is taught a text
    recipe              a text, a budget and a machine -> every setting that nobody has decided
    tensorflow_runtime  importing TensorFlow quietly
    generation/         a model and a prompt -> text, with NumPy         (graph*.py: as TensorFlow operations)
    model/              the network in Keras: cuDNN on a GPU, our scan on a CPU
    evaluation/         a model and a text -> nats and bits per character     (dynamic.py: TensorFlow)
    pages/              results -> a page for a browser, one file without a network
    pretrained          the model that comes with textgen, and how well it reads a text before a step
    workers/            several processes that train one model, and what they tell each other
    inspection          a corpus -> what is odd about it, and a command that suits it
    training/           a request -> a plan -> a trainer -> a model directory
    benchmark           how fast this machine trains and samples, by size
    export/             a model -> a SavedModel, a page that writes, ONNX, LiteRT: a prompt goes in, text comes out
    repl/               a writing desk: stories that somebody and a model write in turns
    serving/            models behind HTTP, as OpenAI's completions interface
    report/             the evaluations of runs -> curves in a terminal, or a page
    lesson/             four networks, trained on the spot -> what each remembers and costs     (most of it: TensorFlow)
    api/                the Python interface, below
    cli/                the command line

    import textgen
    result = textgen.train("novel.txt", minutes=2)
    model = textgen.load("novel")
    print(model.generate("It was", temperature=0.8))

Importing textgen imports neither TensorFlow nor NumPy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgen.api import Model, load, train
    from textgen.errors import TextgenError, TextgenWarning
    from textgen.training.watching import TrainingProgress

__all__ = ["Model", "TextgenError", "TextgenWarning", "TrainingProgress", "load", "train"]


def __getattr__(name: str) -> Any:
    if name in ("TextgenError", "TextgenWarning"):
        from textgen import errors

        return getattr(errors, name)
    if name == "TrainingProgress":
        from textgen.training import watching

        return watching.TrainingProgress
    if name in __all__:
        from textgen import api

        return getattr(api, name)
    raise AttributeError(f"module 'textgen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
