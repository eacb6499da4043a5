"use strict";

/* The network: one token in, the scores of the next token out. Weights are float32, states and sums float64.
   `numpy_cells.py` has the arithmetic. A kernel is kept turned, so that each sum reads its weights in one row. */

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** out += matrix · vector. `matrix`: { values, columns }. Four rows at once take a quarter of the time of single ones. */
function addProduct(out, { values, columns }, vector) {
  let row = 0;
  for (; row + 3 < out.length; row += 4) {
    let [a, b, c, d] = [0, 0, 0, 0];
    let first = row * columns;
    let second = first + columns;
    let third = second + columns;
    let fourth = third + columns;
    for (let k = 0; k < columns; k++) {
      const x = vector[k];
      a += values[first++] * x;
      b += values[second++] * x;
      c += values[third++] * x;
      d += values[fourth++] * x;
    }
    out[row] += a;
    out[row + 1] += b;
    out[row + 2] += c;
    out[row + 3] += d;
  }
  for (; row < out.length; row++) {
    for (let k = 0; k < columns; k++) out[row] += values[row * columns + k] * vector[k];
  }
  return out;
}

/** Each changes `hidden`, and an LSTM `memory`; `projected` is what the layer's input adds to its gates. */
const CELLS = {
  lstm(layer, projected, hidden, memory) {
    const H = hidden.length;
    const gates = addProduct(new Float64Array(projected), layer.recurrent, hidden);
    for (let i = 0; i < H; i++) {
      memory[i] = sigmoid(gates[H + i]) * memory[i] + sigmoid(gates[i]) * Math.tanh(gates[2 * H + i]);
      hidden[i] = sigmoid(gates[3 * H + i]) * Math.tanh(memory[i]);
    }
  },
  gru(layer, projected, hidden) {
    const H = hidden.length;
    const recurrent = addProduct(new Float64Array(layer.recurrentBias), layer.recurrent, hidden);
    for (let i = 0; i < H; i++) {
      const update = sigmoid(projected[i] + recurrent[i]);
      const reset = sigmoid(projected[H + i] + recurrent[H + i]);
      const candidate = Math.tanh(projected[2 * H + i] + reset * recurrent[2 * H + i]);
      hidden[i] = candidate + update * (hidden[i] - candidate);
    }
  },
  rnn(layer, projected, hidden) {
    const sums = addProduct(new Float64Array(projected), layer.recurrent, hidden);
    for (let i = 0; i < hidden.length; i++) hidden[i] = Math.tanh(sums[i]);
  },
};

class Network {
  /** `config` is that of the model, `weights` its tensors by name: { values, columns }. */
  constructor(config, weights) {
    this.config = config;
    this.cell = CELLS[config.cell];
    this.embedding = weights["embedding"];
    this.layers = Array.from({ length: config.num_layers }, (_, index) => {
      const bias = weights[`layers.${index}.bias`];
      const width = weights[`layers.${index}.kernel`].columns;
      return {
        kernel: turned(weights[`layers.${index}.kernel`]),
        recurrent: turned(weights[`layers.${index}.recurrent_kernel`]),
        bias: bias.values.subarray(0, width),
        recurrentBias: bias.values.subarray(width), // of a GRU alone
      };
    });
    this.projection = weights["output.projection"] && turned(weights["output.projection"]);
    this.output = config.tied ? this.embedding : turned(weights["output.kernel"]);
    this.outputBias = weights["output.bias"].values;
    this.projections = new Map(); // of tokens that were met, by the first layer
  }

  emptyState() {
    const layers = () => this.layers.map(() => new Float64Array(this.config.units));
    return { hidden: layers(), memory: layers() };
  }

  /** Read one token: `state` changes in place. */
  advance(state, id) {
    let projected = this.projectionOf(id);
    this.layers.forEach((layer, index) => {
      if (index) projected = addProduct(new Float64Array(layer.bias), layer.kernel, state.hidden[index - 1]);
      this.cell(layer, projected, state.hidden[index], state.memory[index]);
    });
  }

  /** The first layer's projection depends on the token alone: those of few tokens are kept. */
  projectionOf(id) {
    if (this.projections.has(id)) return this.projections.get(id);
    const { columns, values } = this.embedding;
    const layer = this.layers[0];
    const embedded = values.subarray(id * columns, (id + 1) * columns);
    const projected = addProduct(new Float64Array(layer.bias), layer.kernel, embedded);
    if (this.projections.size < 1024) this.projections.set(id, projected);
    return projected;
  }

  /** The scores of the next token, float64 [V]. */
  logits(state) {
    let features = state.hidden.at(-1);
    if (this.config.skip) {
      features = new Float64Array(this.config.units * this.layers.length);
      state.hidden.forEach((hidden, index) => features.set(hidden, index * this.config.units));
    }
    if (this.projection) features = addProduct(new Float64Array(this.embedding.columns), this.projection, features);
    return addProduct(new Float64Array(this.outputBias), this.output, features);
  }
}

const copyOf = (state) => ({
  hidden: state.hidden.map((values) => values.slice()),
  memory: state.memory.map((values) => values.slice()),
});

/** Rows become columns. */
function turned({ values, columns }) {
  const rows = values.length / columns;
  const other = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) other[column * rows + row] = values[row * columns + column];
  }
  return { values: other, columns: rows };
}

/** The number that 16 bits are. */
function ofHalf(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

/** Tensors by name, from the bytes of all of them, one after the other. `list`: [[name, type, rows, columns], ...]. */
function tensorsOf(list, bytes) {
  const tensors = {};
  let halves = null;
  let place = 0;
  const next = (Kind, count) => {
    const end = place + count * Kind.BYTES_PER_ELEMENT;
    const values = new Kind(bytes.buffer.slice(bytes.byteOffset + place, bytes.byteOffset + end));
    place = end;
    return values;
  };
  for (const [name, type, rows, columns] of list) {
    let values;
    if (type === "I8") {
      const whole = next(Int8Array, rows * columns);
      const scales = next(Float32Array, rows);
      values = new Float32Array(whole.length);
      for (let i = 0; i < whole.length; i++) values[i] = whole[i] * scales[Math.floor(i / columns)];
    } else if (type === "F16") {
      halves ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => ofHalf(bits));
      values = Float32Array.from(next(Uint16Array, rows * columns), (bits) => halves[bits]);
    } else {
      values = next(Float32Array, rows * columns);
    }
    tensors[name] = { values, columns };
  }
  return tensors;
}
