"""Training speed, whole steps (forward, gradient, clipping, Adam), tokens per second: ours, stock Keras, PyTorch.

    python tests/benchmarks/train_throughput.py --output train.json
    python tests/benchmarks/train_throughput.py --python pytorch=/path/to/python     # a Python that has torch

Two layers, 65 symbols. Keras is `keras.layers.LSTM` trained by `model.fit`'s own compiled step; PyTorch is `nn.LSTM`.
Every contestant carries the state from batch to batch, as a language model's training does, except Keras, whose
stateless form is its faster one. "share of peak" is the arithmetic that a textbook step needs (6 times weights times
tokens), per second, over the machine's measured rate of large matrix products: ours folds the first layer's projection
into the embedding table and so does less of it.
"""

import contest
import numpy as np

V, L = 65, 2
SETTINGS = [(128, 64, 128), (256, 64, 128), (512, 64, 128), (1024, 64, 16), (128, 16, 64)]  # units, batch, time steps


def data(setting: dict) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    shape = (setting["batch"], setting["steps"])
    return draw.integers(V, size=shape).astype(np.int32), draw.integers(V, size=shape).astype(np.int32)


def textgen(setting: dict):
    from textgen.tensorflow_runtime import quiet_import

    quiet_import()
    from textgen.config import ModelConfig, TrainingConfig
    from textgen.dataset.batches import Batch
    from textgen.model.language_model import build_model
    from textgen.training.step import TrainStep

    units = setting["units"]
    shape = {"embedding_size": units, "units": units, "num_layers": L, "tied": False, "skip": False}
    model = build_model(ModelConfig(vocabulary_size=V, **shape))
    off = {"dropout": 0.0, "activation_reg": 0.0, "weight_decay": 0.0, "num_sampled": 0}
    sizes = {"batch_size": setting["batch"], "sequence_length": setting["steps"]}
    config = TrainingConfig(learning_rate=1e-3, **sizes, **off)
    step = TrainStep(model, config, compile_with_xla=True)
    batch, state = Batch(*data(setting), is_first=False), [step.zero_state()]

    def run() -> int:
        loss, state[0] = step(batch, state[0], 1e-3, 1)
        float(loss)
        return batch.inputs.size

    return run


def keras(setting: dict):
    import keras

    units = setting["units"]
    inputs = keras.Input((setting["steps"],), dtype="int32")
    hidden = keras.layers.Embedding(V, units)(inputs)
    for _ in range(L):
        hidden = keras.layers.LSTM(units, return_sequences=True)(hidden)
    model = keras.Model(inputs, keras.layers.Dense(V)(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), loss)
    x, y = data(setting)

    def run() -> int:
        model.train_on_batch(x, y)
        return x.size

    return run


def pytorch(setting: dict):
    import torch

    units = setting["units"]

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(V, units)
            self.lstm = torch.nn.LSTM(units, units, L)
            self.output = torch.nn.Linear(units, V)

        def forward(self, token_ids, state):
            hidden, state = self.lstm(self.embedding(token_ids), state)
            return self.output(hidden), state

    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    x, y = (torch.from_numpy(np.ascontiguousarray(part.T).astype(np.int64)) for part in data(setting))
    zeros = torch.zeros(L, setting["batch"], units)
    state = [(zeros, zeros)]

    def run() -> int:
        optimizer.zero_grad()
        logits, new_state = network(x, state[0])
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, V), y.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        state[0] = tuple(tensor.detach() for tensor in new_state)
        loss.item()
        return x.numel()

    return run


CONTESTANTS = {"textgen": textgen, "keras": keras, "pytorch": pytorch}


def textbook_flops_per_token(units: int) -> int:
    return 6 * (L * 4 * units * 2 * units + units * V)


def main() -> None:
    options = contest.arguments(__doc__)
    peak = contest.matrix_product_gflops()
    tables = []
    print(
        f"{'units':>6}{'B x T':>10}   {'contestant':<12}{'tokens/s':>10}{'share of peak':>15}{'MiB':>8}{'ours is':>10}"
    )
    for units, batch, steps in SETTINGS:
        setting = {"units": units, "batch": batch, "steps": steps}
        label = f"{units} {batch}x{steps}"
        if options.only and not any(part in label for part in options.only):
            continue
        results = contest.compete(__file__, CONTESTANTS, setting, options.pythons, options.rounds)
        times = contest.ratios(results, "textgen")
        tables.append({**setting, "results": results, "ratios": times})
        for name, result in results.items():
            rate = result["tokens_per_second"]
            share = rate * textbook_flops_per_token(units) / 1e9 / peak
            ratio = f"{times[name]:.2f}x" if name in times else ""
            figures = f"{rate:>10,.0f}{share:>15.0%}{result['peak_mebibytes']:>8,}{ratio:>10}"
            print(f"{units:>6}{f'{batch} x {steps}':>10}   {name:<12}{figures}", flush=True)
    contest.report(options, tables)


if __name__ == "__main__" and not contest.serve(CONTESTANTS):
    main()
