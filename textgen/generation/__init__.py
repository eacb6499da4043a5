"""From a model and a prompt to text.

    philox        random numbers, a function of seed, sample and position       graph_philox
    sampling      logits and a random number -> the next id                     graph_sampling
    barred        which ids a word model does not write after which
    steering      what may be written next, decided token by token
    ending        where a text begins and ends                                  graph_ending
    state         what an engine knows after reading a text
    numpy_engine  the network with NumPy alone; numpy_cells: its cells          graph, graph_network
    recording     the gates and states of every layer while a text is read
    prompts       prompts from files
    generator     a prompt -> text that streams
    copies        what was written and another text -> the longest run that both have

The files on the right do the same with TensorFlow; no other file here imports it. `graph` is the engine of `--engine
tensorflow`, one compiled loop. The export is made of the rest of them. Twins number their rules alike.
"""
