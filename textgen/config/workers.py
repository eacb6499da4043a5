"""How many processes train a model together, and how long they wait for each other."""

import dataclasses

from textgen.schema import Settings, setting

MOST_WORKERS = 1024


@dataclasses.dataclass(frozen=True)
class WorkersConfig(Settings):
    """What a run may have otherwise each time that it goes on, and so does not keep."""

    workers: int | None = setting(
        None,
        "Processes on this machine that train together, one a GPU where there are GPUs; each has its rows of a batch.",
        minimum=1,
        maximum=MOST_WORKERS,
        unset="those of TF_CONFIG or of srun, else 1",
    )
    worker_timeout: float = setting(
        60.0, "Seconds after which a worker that does not come or does not answer ends the run.", minimum=1, maximum=1e6
    )
