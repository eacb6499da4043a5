"""A model and a prompt in, text out.

`philox.py` makes the random numbers (a pure function of seed, sample and position), `sampling.py` turns logits and one
random number into the next id, `numpy_engine.py` runs the network with NumPy alone, `generator.py` reads a prompt and
streams text, with stop strings. `graph.py` is the same loop as TensorFlow operations, for `--engine tensorflow` and for
the export; it is the only file here that imports TensorFlow.
"""
