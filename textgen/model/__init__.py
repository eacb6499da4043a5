"""The network: token ids in, logits and the carried state out.

Shape letters, used in every docstring of the project:

    B  batch: parallel streams of text        H  units of a recurrent layer
    T  time steps                             L  recurrent layers
    E  size of an embedding                   V  vocabulary: number of token ids
    N  tokens in a corpus                     F  features: what the output layer sees of a position, H or L * H

`lstm.py` is the LSTM layer (cuDNN on a GPU, our scan on a CPU), `scan.py` the scan with its hand-written gradient,
`output.py` the scores of all tokens, in blocks of rows where they are many, or of a sample of the tokens,
`negatives.py` which tokens those are, `language_model.py` embedding, recurrent layers and output together, `noise.py`
the noise of a step as a pure function of (seed, step), `devices.py` which device and path training will take and why.
All but `negatives.py` import TensorFlow.
"""
