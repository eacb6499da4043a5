"""The network: token ids and the carried state become logits and the new state.

Shape letters, used in every docstring of the project:

    B  batch: parallel streams of text        H  units of a recurrent layer
    T  time steps                             L  recurrent layers
    E  size of an embedding                   V  vocabulary: number of token ids
    N  tokens in a corpus                     F  features: what the output layer sees of a position, H or L * H

    recurrent       how the model calls a recurrent layer, and the GRU and the plain RNN
    lstm            the LSTM layer: cuDNN on a GPU, our scan on a CPU
    scan            the LSTM over time, with a gradient written by hand
    output          the scores of all tokens, in blocks where they are many, or of a sample
    negatives       which tokens are in the sample                      (without TensorFlow)
    noise           what a training step disturbs, a pure function of (seed, step)
    language_model  embedding, recurrent layers and output together
    shards          a batch cut in two, for a CPU of several cores
    devices         which device trains, and whether cuDNN runs there
"""
