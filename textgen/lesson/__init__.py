"""The lesson of the LSTM: what recurrent cells forget, shown by measurement, beside a small Transformer.

delays         the delay task: a symbol that is asked for so many tokens later      (without TensorFlow)
text           a text as ids of characters                                         (without TensorFlow)
transformer    attention in pre-norm blocks, for comparison alone
contestants    plain RNN, GRU, LSTM and Transformer of equal size, and how they write
results        what is measured, as plain numbers
learning       training for so many seconds at the best of several rates; losses, gradients
tasks          the delay task and a text as what `learning` takes
costs          time and memory of one more character
adding_model   an LSTM that predicts one number: the lines that the page shows
adding         the adding problem, and training on it
giving         all of it
page           the results as a page
"""
