"""The network of the adding problem. The page of the lesson shows these lines as they are."""

import keras

from textgen.model.lstm import LSTM


def adding_model(length: int, units: int = 32) -> keras.Model:
    """Reads pairs of a number and a mark, [B, length, 2]; predicts one number, [B, 1]."""
    pairs = keras.Input((length, 2))
    last = LSTM(units)(pairs)  # what the layer shows after the last time step, [B, units]
    model = keras.Model(pairs, keras.layers.Dense(1)(last))
    model.compile(keras.optimizers.Adam(0.005, clipnorm=1.0), loss="mse")
    return model
