"""A model and a prompt in, text out.

`philox.py` makes the random numbers (a pure function of seed, sample and position), `sampling.py` turns logits and one
random number into the next id, `numpy_engine.py` runs the network with NumPy alone, `ending.py` says where a text ends
(its length, its document, a stop string), `generator.py` reads a prompt and streams text. `graph.py` is the same loop
as one compiled TensorFlow graph, of `graph_network.py` and `graph_sampling.py`, for `--engine tensorflow`; the export
is made of the latter two as well. The graph files are the only ones here that import TensorFlow.
"""
