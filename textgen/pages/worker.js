"use strict";

/* What writes, apart from the page, so that the page never waits. A request is { number, kind, ... }; the answers carry
   its number. Whatever is asked next ends what is being done. */

const EVERY = 8; // tokens between two states that are kept: what is changed late in a text is not read from its start
const SLICE = 40; // milliseconds between two looks at what was asked
const WIDTH = 8; // of the search for the likeliest words, and how many are shown
const LONGEST = 24; // letters of a word that is searched for

class Writer {
  constructor(model, tensors) {
    this.model = model;
    this.tokenizer = new Tokenizer(model);
    this.network = new Network(model.config, tensors);
    this.ids = []; // what was read last
    this.states = [this.network.emptyState()]; // after each EVERY of them
  }

  /** Read one token more. */
  advance(state, id) {
    this.network.advance(state, id);
    this.ids.push(id);
    if (this.ids.length % EVERY === 0) this.states.push(copyOf(state));
  }

  /** The state after `ids`; what they share with the ids before is not read again. */
  async stateAfter(ids, pause) {
    let shared = 0;
    while (shared < ids.length && ids[shared] === this.ids[shared]) shared++;
    const place = shared - (shared % EVERY);
    this.ids = ids.slice(0, place);
    this.states.length = place / EVERY + 1;
    const state = copyOf(this.states.at(-1));
    for (const id of ids.slice(place)) {
      this.advance(state, id);
      await pause();
    }
    return state;
  }

  /** Tokens that continue `ids`, to `take` one by one; gives the reason of the end. */
  async write(ids, settings, take, pause = () => {}) {
    const state = await this.stateAfter(ids, pause);
    const ending = new Ending(this.tokenizer, settings.length);
    for (let place = 0; !ending.reason; place++) {
      const scores = allowed(this.network.logits(state), this.model, this.ids.at(-1));
      lower(scores, this.ids, settings);
      if (this.model.eodId !== null && ending.units < settings.min_length) scores[this.model.eodId] = -Infinity;
      const id = draw(scores, uniform(settings.seed, place), settings);
      if (ending.feed(id)) take(id);
      if (!ending.reason) this.advance(state, id);
      await pause();
    }
    return ending.reason;
  }

  /** The shares of the next tokens. */
  shares(state, latest) {
    const scores = allowed(this.network.logits(state), this.model, latest);
    const best = scores.reduce((most, score) => Math.max(most, score), -Infinity);
    const weights = scores.map((score) => Math.exp(score - best));
    const sum = weights.reduce((before, weight) => before + weight, 0);
    return weights.map((weight) => weight / sum);
  }

  /** The likeliest units after `ids`: [{ ids, share }, ...]. A word of a character model is searched for. */
  async alternatives(ids, pause) {
    const found = [];
    let open = [{ ids: [], share: 1, state: await this.stateAfter(ids, pause) }];
    const isBetter = (one, other) => other.share - one.share;
    for (let length = 0; open.length && length < LONGEST; length++) {
      const longer = [];
      for (const { ids: before, share, state } of open) {
        const shares = this.shares(state, before.at(-1) ?? ids.at(-1));
        let ends = before.length ? 0 : 1; // the share of what does not go on with the word
        const candidates = [];
        shares.forEach((next, id) => {
          if (id === this.model.eodId) ends += before.length ? next : 0;
          else if (before.length && this.tokenizer.beginsUnit(before.at(-1), id)) ends += next;
          else candidates.push([next, id]);
        });
        if (before.length) found.push({ ids: before, share: share * ends });
        candidates.sort((one, other) => other[0] - one[0]);
        for (const [next, id] of candidates.slice(0, WIDTH)) {
          const isWhole = this.model.level === "word" || this.tokenizer.beginsUnit(id, id);
          if (isWhole) found.push({ ids: [...before, id], share: share * next });
          else longer.push({ ids: [...before, id], share: share * next, before: state });
        }
        await pause();
      }
      found.sort(isBetter).splice(WIDTH);
      const least = found.length === WIDTH ? found.at(-1).share : 0;
      open = longer.sort(isBetter).slice(0, WIDTH).filter(({ share }) => share > least);
      for (const word of open) {
        word.state = copyOf(word.before);
        this.network.advance(word.state, word.ids.at(-1));
      }
    }
    return found;
  }
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A writer, from the two compressed parts of a page: the model's document, and the bytes of its weights. */
async function openWriter(documentBytes, weightBytes) {
  const model = JSON.parse(new TextDecoder().decode(await inflated(documentBytes)));
  return new Writer(model, tensorsOf(model.tensors, await inflated(weightBytes)));
}

let writer = null;
let asked = 0; // the number of the latest request

/** A function that lets other requests in, now and then, and ends this one where there is another. */
function pauseOf(number, whenPausing = () => {}) {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < SLICE) return;
    whenPausing();
    await new Promise((done) => setTimeout(done));
    if (number !== asked) throw new Error("over");
    since = performance.now();
  };
}

const HANDLERS = {
  async open({ document, weights }) {
    writer = await openWriter(document, weights);
    return {};
  },
  async read({ prompt }) {
    const { ids, text, replaced } = writer.tokenizer.read(prompt);
    return { ids, text, replaced: [...replaced] };
  },
  async write({ number, ids, settings }) {
    const written = [];
    let latest = ids.at(-1);
    const send = () => postMessage({ number, tokens: written.splice(0) });
    const take = (id) => {
      written.push({ id, text: writer.tokenizer.pieces[id], begins: writer.tokenizer.beginsUnit(latest, id) });
      latest = id;
    };
    const reason = await writer.write(ids, settings, take, pauseOf(number, send));
    send();
    return { reason };
  },
  async alternatives({ number, ids }) {
    const found = await writer.alternatives(ids, pauseOf(number));
    const tokensOf = (unit) =>
      unit.map((id, i) => ({ id, text: writer.tokenizer.pieces[id], begins: i === 0 }));
    return { found: found.map((unit) => ({ tokens: tokensOf(unit.ids), share: unit.share })) };
  },
  async stop() {
    return {};
  },
};

globalThis.onmessage = async ({ data }) => {
  asked = data.number;
  try {
    postMessage({ number: data.number, done: true, ...(await HANDLERS[data.kind](data)) });
  } catch (problem) {
    if (problem.message !== "over") postMessage({ number: data.number, done: true, problem: String(problem) });
  }
};
