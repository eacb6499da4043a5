"""Training a model from a Python program."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen.api.model import Model, PathLike, load, models_dir_of
from textgen.arguments import (
    for_python,
    optional_text,
    path_of,
    sources_of,
    switch_of,
    texts_of,
    whole_number_of,
)
from textgen.errors import WrongTypeError
from textgen.schema import received

if TYPE_CHECKING:
    from textgen.training.reporting import Reporter
    from textgen.training.watching import TrainingProgress


@for_python
def train(
    *sources: PathLike | Iterable[PathLike],
    texts: str | Iterable[str] | None = None,
    name: str | None = None,
    models_dir: PathLike | None = None,
    resume: bool = False,
    overwrite: bool = False,
    init_from: PathLike | None = None,
    preset: str | None = None,
    progress: "Callable[[TrainingProgress], object] | None" = None,
    reporter: "Reporter | None" = None,
    tensorboard: PathLike | None = None,
    jobs: int | None = None,
    **settings: Any,
) -> Model:
    """Train a model on texts and return it.

    What the command line would note of the text or of the run is a TextgenWarning. In a notebook, a table shows how
    the run goes.

    Args:
        sources: files, folders, catalogue names, or lists of them; none is the starter corpus.
        texts: instead of sources, texts in memory. A string is one whole text. Of a list, each string is a document
            with an end that the model learns, as with `documents="file"`. They are not kept: who wants to resume, or to
            evaluate the model on its own validation part, gives them again.
        name: of the model; None is the corpus's, which is `texts` for those in memory.
        resume: go on with the unfinished run of that name, with its settings.
        overwrite: replace a model of the same name.
        init_from: name or path of a model to begin with, whose shape and level this one has and which stays as it is;
            "none" begins from nothing, None with the shipped model `english` where that reads the text well.
        preset: a size, tiny, small, medium or large; None chooses one that suits the corpus and the budget.
        progress: called with a TrainingProgress after every step and every evaluation. An exception in it ends the run
            as Ctrl-C would: after the step, with everything saved. Then it is raised here.
        reporter: told what else happens; None shows a table in a notebook and is silent elsewhere.
        tensorboard: a directory for event files, which TensorBoard reads.
        jobs: processes that count and encode a large text; None is as many as there are cores. No byte depends on it.
        settings: fields of TextConfig (level, documents ...), of TrainingConfig (minutes, epochs or steps,
            batch_size ...) and of ModelConfig (units ...). What is None or not given suits the corpus and the budget.

    Raises:
        SettingError: an argument or a setting is of the wrong type (WrongTypeError, a TypeError too), out of its
            range, or unknown.
        TextgenError: whatever else keeps the run from starting or going on.
        KeyboardInterrupt: a signal stopped it, and everything was saved; a second signal does not wait for that.
    """
    from textgen.training.request import Request
    from textgen.training.run import train
    from textgen.training.signals import StopRequest
    from textgen.training.watching import Watcher, reporter_of

    if progress is not None and not callable(progress):
        raise WrongTypeError(f"`progress` must be a function of one argument. Received: {received(progress)}")
    request = Request(
        models_dir=models_dir_of(models_dir),
        sources=sources_of(sources),
        texts=None if texts is None else texts_of("texts", texts),
        name=optional_text("name", name),
        settings=settings,
        preset=optional_text("preset", preset),
        init_from=None if init_from is None else path_of("init_from", init_from, "a model's name or path"),
        resume=switch_of("resume", resume),
        overwrite=switch_of("overwrite", overwrite),
        jobs=None if jobs is None else whole_number_of("jobs", jobs),
    )
    stop = StopRequest(ends_process=False)
    events = None if tensorboard is None else Path(path_of("tensorboard", tensorboard))
    watcher = Watcher(stop, progress, reporter_of(reporter, events))
    result = train(request, watcher, stop=stop)
    if watcher.problem is not None:
        raise watcher.problem
    if result is None or result.stopped_by is not None:
        raise KeyboardInterrupt
    return load(result.name, models_dir=request.models_dir)
