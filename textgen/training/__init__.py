"""From a request to a model directory.

    request        what is asked for, checked as far as that goes without a text
    plan           a request -> everything that a run needs; texts become token ids
    needs          the memory that it takes, about; refusing what the machine has not got
    vocabulary     what is said of a word model that has hardly any words
    init_from      what a run takes from the model that it begins with
    learner        a plan -> its model, its compiled step (`step`) and its evaluations (`validation`)
    shared_step    a step that several processes make together
    worker         a process that makes them for a chief's run
    measuring      minutes -> a number of steps; a plan with another model where the speed is not the expected one
    calls          how many steps are made in one call of the compiled step
    trainer        the steps: train, evaluate, save, go back (`divergence`), keep the pace (`pace`, `schedule`)
    results        what came out, as the model says it; `novelty` of the texts that it writes
    copy_index     the text of a run -> its index, where that is asked for
    run            the line: request -> plan -> trainer -> result

`checkpoints` keep what the next step depends on, `lock` lets one run at a time write a model, `run_directory` tidies
what a killed one left, `signals` ask a run to stop. `reporting` is what a run tells; `terminal` shows it, laid out by
`layout` in the `sentences` that writers and engineers read, `notebook` in a notebook, and `tensorboard` writes event
files.

The train step is a function of (variables, state, batch, step), and everything random is a pure function of
(seed, step): a run that is stopped and resumed ends with the bytes of one that was not.
"""
