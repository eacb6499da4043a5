"""From a text to a model directory.

`request.py` checks what is asked for, `parent.py` says what a run takes from a model to begin with, `plan.py` turns a
corpus and settings into everything a run needs, `budget.py` turns minutes into a number of steps, `schedule.py` gives
each step its learning rate, `step.py` is one optimizer step, `validation.py` the loss on text the model does not learn
from, `checkpoints.py` keeps what the next step depends on, `loop.py` runs the steps, `stopping.py` hears signals,
`lock.py` lets one run at a time write a model, `run_directory.py` tidies what a killed one left, `novelty.py` asks
whether documents that the model writes are its own, `run.py` puts these together. `reporting.py` is what a run tells
whoever watches, `progress.py` shows it in a terminal.

The train step is a function of (variables, state, batch, step), and everything random is a pure function of
(seed, step): a run that is stopped and resumed ends with the bytes of one that was not.
"""
