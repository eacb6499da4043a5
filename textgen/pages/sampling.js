"use strict";

/* From scores to the next token, and to the end of a text, by the rules of `philox.py`, `sampling.py`, `filters.py`,
   `barred.py`, `past.py` and `ending.py`. */

const RECENT = 4096; // tokens among which one is looked for that is there again
const WORD = (1n << 32n) - 1n;

/** Philox4x32-10: the uniform number of token `place` of sample 0 under `seed`, a BigInt. */
function uniform(seed, place) {
  const token = BigInt(place);
  let [c0, c1, c2, c3] = [token & WORD, token >> 32n, seed >> 32n, 0n];
  let [k0, k1] = [seed & WORD, 0n];
  for (let round = 0; round < 10; round++) {
    const [one, other] = [c0 * 0xd2511f53n, c2 * 0xcd9e8d57n];
    [c0, c1, c2, c3] = [(other >> 32n) ^ c1 ^ k0, other & WORD, (one >> 32n) ^ c3 ^ k1, one & WORD];
    [k0, k1] = [(k0 + 0x9e3779b9n) & WORD, (k1 + 0xbb67ae85n) & WORD];
  }
  return Number((c0 << 21n) | (c1 >> 11n)) * 2 ** -53;
}

/** What each filter leaves of the weights. */
const FILTERS = {
  top_k(weights, k) {
    const sorted = weights.slice().sort();
    return atLeast(weights, sorted[sorted.length - Math.min(k, sorted.length)]);
  },
  top_p(weights, share) {
    const sorted = weights.slice().sort().reverse();
    const enough = share * sorted.reduce((sum, weight) => sum + weight, 0);
    let kept = 0;
    for (let mass = 0; kept < sorted.length && mass < enough; kept++) mass += sorted[kept];
    return atLeast(weights, sorted[Math.max(kept, 1) - 1]);
  },
  min_p(weights, share) {
    return atLeast(weights, share * weights.reduce((most, weight) => Math.max(most, weight), 0));
  },
  typical(weights, mass) {
    const whole = weights.reduce((sum, weight) => sum + weight, 0);
    const shares = weights.map((weight) => weight / whole);
    const surprises = shares.map((share) => -Math.log(Math.max(share, LEAST)));
    const expected = shares.reduce((sum, share, id) => sum + share * surprises[id], 0);
    const distances = surprises.map((surprise) => Math.abs(surprise - expected));
    const nearest = Uint32Array.from(weights, (_, id) => id).sort((one, other) => distances[one] - distances[other]);
    let kept = 0;
    for (let sum = 0; kept < nearest.length && sum < mass; kept++) sum += shares[nearest[kept]];
    const furthest = distances[nearest[Math.max(kept, 1) - 1]] + AS_NEAR;
    return weights.map((weight, id) => (distances[id] <= furthest ? weight : 0));
  },
};
const OFF = { top_k: 0, top_p: 1, min_p: 0, typical: 1 };
const [AS_NEAR, LEAST] = [1e-12, 2 ** -1022];
const atLeast = (weights, threshold) => weights.map((weight) => (weight >= threshold ? weight : 0));

/** `scores` without those of the tokens that a word model does not write after the token `latest`. */
function allowed(scores, model, latest) {
  if (!model.barred) return scores;
  const bars = model.barred[Number(model.groups[latest])];
  return scores.map((score, id) => (bars[id] === "1" ? -Infinity : score));
}

/** Lower the scores of tokens that stand among the latest of `ids`, and of those that would write a run of them again. */
function lower(scores, ids, settings) {
  const { repeat_penalty, presence_penalty, frequency_penalty, repeat_last_n, no_repeat_ngram } = settings;
  const once = Math.log(repeat_penalty);
  if (once || presence_penalty || frequency_penalty) {
    const counts = new Map();
    for (const id of ids.slice(-repeat_last_n)) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const [id, count] of counts) scores[id] = scores[id] - once - presence_penalty - frequency_penalty * count;
  }
  if (no_repeat_ngram) {
    for (const id of repeating(ids, no_repeat_ngram)) scores[id] = -Infinity;
  }
}

/** The tokens that would end a run of `size` tokens that is among the latest. */
function repeating(ids, size) {
  if (ids.length < size) return [];
  const found = [];
  const end = ids.length - size + 1; // what the run would begin with
  for (let start = Math.max(0, ids.length - RECENT); start + size <= ids.length; start++) {
    let same = 0;
    while (same < size - 1 && ids[start + same] === ids[end + same]) same++;
    if (same === size - 1) found.push(ids[start + same]);
  }
  return found;
}

/** The next token, -1 where none may be drawn. `settings`: the temperature and the filters. */
function draw(scores, number, settings) {
  const best = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  if (best === -Infinity) return -1;
  if (settings.temperature === 0) return scores.indexOf(best);
  let weights = scores.map((score) => Math.exp((score - best) / settings.temperature));
  for (const [name, filter] of Object.entries(FILTERS)) {
    if (settings[name] !== OFF[name]) weights = filter(weights, settings[name]);
  }
  const sums = new Float64Array(weights.length);
  weights.reduce((sum, weight, id) => (sums[id] = sum + weight), 0);
  const whole = sums.at(-1);
  const found = sums.findIndex((sum) => sum > number * whole);
  return found < 0 ? sums.indexOf(whole) : found; // a product that rounds up to the whole sum
}

/** Follows a text from its first written token to its last. */
class Ending {
  constructor(tokenizer, length) {
    this.tokenizer = tokenizer;
    this.length = length;
    this.reason = ""; // "length", "document" or "nothing", once the text is over
    this.units = 0;
    this.isOpen = false;
    this.tokensLeft = length * MAX_PIECE;
  }

  /** Whether the token is part of the text; a token that would begin too much is not, nor is the end of a document. */
  feed(id) {
    const { model } = this.tokenizer;
    if (id === model.eodId || id < 0) {
      this.reason = id < 0 ? "nothing" : "document";
      return false;
    }
    if (!(this.isOpen && model.continues[id] === "1")) this.units++;
    if (this.units > this.length) {
      this.reason = "length";
      return false;
    }
    this.isOpen = this.tokenizer.leavesOpen(id);
    this.tokensLeft--;
    if ((this.units === this.length && !this.isOpen) || !this.tokensLeft) this.reason = "length";
    return true;
  }
}
