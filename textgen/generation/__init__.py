"""From a model and a prompt to text.

    philox        random numbers, a function of seed, sample and position       graph_philox
    sampling      logits and a random number -> the next id                     graph_sampling
    filters       which ids top-k, top-p, min-p and typical sampling keep
    banning       which ids would write a banned text                           graph_banning
    barred        which ids a word model does not write after which
    past          what the rules know of a text so far                          graph_past
    max_copy      which pieces would make too long a copy of the training text
    steering      what may be written next, decided token by token
    constraints/  what a completion must be as a whole: a pattern, and words that it holds
    ending        where a text begins and ends                                  graph_ending
    tally         which texts of a batch may end at a token
    state         what an engine knows after reading a text
    numpy_engine  the network with NumPy alone; numpy_cells, numpy_rows, few_rows  graph, graph_network
    engines       the engine of a model, by its name
    logprobs      how likely the model found each token, and what it found likelier
    beams         the likeliest text that a beam finds
    recording     the gates and states of every layer while a text is read
    prompts       prompts from files
    sizes         how many texts are written side by side, and what they take
    following     what is barred, steered and ended in texts that go on from one place
    completion    one text, and what is known of it
    generator     a prompt -> text that streams
    alternatives  the likeliest next words, with their probabilities
    jobs          what `textgen sample` writes, as text or as JSON that repeats it; replaying: that text again
    copied_runs   which characters of a text are copied, as it is written
    copies        what was written and another text -> the longest run that both have

The files on the right do the same with TensorFlow; no other file here imports it. `graph` is the engine of `--engine
tensorflow`, one compiled loop. The export is made of the rest of them. Twins number their rules alike.
"""
