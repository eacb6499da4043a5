"use strict";

/* A prompt -> token ids, as `make_readable`, `trim_prompt` and `encode` in Python. What Unicode says stands in tables
   that come with the model; only its normal forms are the browser's own. */

const [SPACE, LETTER, OTHER, IDEOGRAPH, END, MARK, APOSTROPHE] = [0, 2, 4, 5, 6, 7, 8];
const MAX_PIECE = 64;

class Tokenizer {
  /** `model` is the document that `writer.py` makes. */
  constructor(model) {
    this.model = model;
    this.symbols = [...model.symbols];
    this.symbolIds = new Map(this.symbols.map((symbol, id) => [symbol, id]));
    this.wordIds = new Map((model.words ?? []).map((word, place) => [word, this.symbols.length + place]));
    this.pieces = [...this.symbols, ...(model.words ?? []), ...(model.eodId === null ? [] : [""])];
  }

  /** The ids of a prompt, the prompt as it is read, and what stands for symbols that the model has never seen. */
  read(prompt) {
    const { text, replaced } = this.readable(prompt);
    const trimmed = this.model.level === "word" && text.endsWith(" ") ? text.slice(0, -1) : text;
    const ids = this.encode(trimmed);
    const isWhole = this.model.eodId === null && ids.length > 0;
    return { ids: isWhole ? ids : [this.model.startId, ...ids], text: trimmed, replaced };
  }

  readable(prompt) {
    const replaced = new Map();
    let symbols = [...this.normalized(this.symbolIds.has("\r") ? prompt : cleaned(prompt))];
    if (symbols.every((symbol) => this.symbolIds.has(symbol))) return { text: symbols.join(""), replaced };
    symbols = this.joined(symbols);
    const read = symbols.map((symbol) => {
      if (this.symbolIds.has(symbol)) return symbol;
      replaced.set(symbol, this.model.forms[symbol] ?? "");
      return replaced.get(symbol);
    });
    return { text: read.join(""), replaced };
  }

  normalized(text) {
    const form = this.model.normalize;
    if (form === "none") return text;
    if (form !== "casefold") return text.normalize(form.toUpperCase());
    return [...text].map((symbol) => this.model.folds[symbol] ?? symbol).join("").normalize("NFC");
  }

  /** Accents that the model does not know join the letters before them. */
  joined(symbols) {
    const found = [];
    for (const symbol of symbols) {
      const one = found.length ? this.model.together[found.at(-1) + symbol] : undefined;
      if (one === undefined) found.push(symbol);
      else found[found.length - 1] = one;
    }
    return found;
  }

  /** The ids of a text in symbols that are known. */
  encode(text) {
    const ids = Array.from(text, (symbol) => this.symbolIds.get(symbol));
    if (this.model.level === "char") return ids;
    const found = [];
    const begins = beginnings(ids.map((id) => Number(this.model.classes[id])));
    for (let start = 0, end = 1; start < ids.length; start = end, end++) {
      while (end < ids.length && !begins[end]) end++;
      const piece = ids.slice(start, end);
      const word = this.wordIds.get(piece.map((id) => this.symbols[id]).join(""));
      found.push(...(word === undefined ? piece : [word]));
    }
    return found;
  }

  /** Whether the token `id` begins a word or a sign after the token `before`, undefined where there is none. */
  beginsUnit(before, id) {
    if (before === undefined) return true;
    if (this.model.level === "word") return !(this.leavesOpen(before) && this.model.continues[id] === "1");
    const isLetter = (symbol) => /[\p{L}\p{M}\p{N}'\u2019]/u.test(symbol);
    return !(isLetter(this.pieces[before]) && isLetter(this.pieces[id]));
  }

  leavesOpen(id) {
    return this.model.continued[id] === "1";
  }
}

const cleaned = (text) => text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");

/** Where the pieces of a text begin, from the classes of its characters; `word.py` has the rules. */
function beginnings(classes) {
  const resolved = [];
  const bases = []; // of marks: what they stand on
  classes.forEach((kind, i) => {
    bases.push(kind === MARK ? (bases[i - 1] ?? OTHER) : kind);
    const isLetter = kind === APOSTROPHE && resolved[i - 1] === LETTER && classes[i + 1] === LETTER;
    resolved.push(isLetter ? LETTER : bases[i] === APOSTROPHE ? OTHER : bases[i]);
  });
  const joins = (i) => i < classes.length && resolved[i] >= LETTER && resolved[i] <= OTHER && classes[i] !== MARK;
  const joined = (i) => classes[i] === SPACE && joins(i + 1); // a space, and what it belongs to
  let length = 0;
  return classes.map((kind, i) => {
    const isOther = i === 0 || resolved[i] !== resolved[i - 1] || resolved[i] === IDEOGRAPH;
    const begins = i === 0 || ((joined(i) || (isOther && !joined(i - 1))) && kind !== MARK);
    length = begins || length === MAX_PIECE ? 1 : length + 1;
    return length === 1;
  });
}
