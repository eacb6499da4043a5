
/* The page of `textgen score`. A unit is a symbol, or a word with all the tokens that spell it. */

const [Tokens, Ranks] = data.wide.map((isWide) => (isWide ? Uint32Array : Uint16Array));
const tokens = unpack(data.tokens, Tokens);
const likeliest = unpack(data.likeliest, Tokens);
const tokenBits = unpack(data.bits, Float32Array);
const ranks = unpack(data.ranks, Ranks);
const shares = unpack(data.shares, Uint16Array);
const starts = unpack(data.starts, Uint32Array);
const lineBits = unpack(data.lineBits, Float32Array);
const NUM_LIKELIEST = likeliest.length / tokens.length;
const PART = 8000; // units that are in the document at once
const LEVELS = 64; // different colours

const stopOf = (unit) => (unit + 1 < starts.length ? starts[unit + 1] : tokens.length);
const pieceOf = (token) => data.pieces[tokens[token]];
const isEnd = (index) => index === data.end;

function textOf(unit) {
  let text = "";
  for (let token = starts[unit]; token < stopOf(unit); token++) text += pieceOf(token);
  return text;
}

function bitsOf(unit) {
  let sum = 0;
  for (let token = starts[unit]; token < stopOf(unit); token++) sum += tokenBits[token];
  return sum;
}

/** What shows nothing, or would move what stands around it, as a picture. */
const harmless = (text) =>
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
/** A piece as it is named: a word without the space that belongs to it, and a sign for what is white. */
function quoted(text) {
  const inside = text.trim() === "" ? text.replace(/ /g, "\u2423") : text.replace(/^ | $/g, "");
  return harmless(inside).replace(/\n/g, "\u23ce").replace(/\t/g, "\u21e5");
}
const named = (index) => (isEnd(index) ? "end of the document" : quoted(data.pieces[index]));
const nameOf = (unit) => (isEnd(tokens[starts[unit]]) ? "end of the document" : quoted(textOf(unit)));

/** The line of each unit, from 0; a unit belongs to the line in which it begins. */
const lines = new Uint32Array(starts.length);
const lineEnds = data.pieces.map((piece, index) => (isEnd(index) ? 1 : piece.split("\n").length - 1));
for (let unit = 0, line = 0; unit < starts.length; unit++) {
  lines[unit] = line;
  for (let token = starts[unit]; token < stopOf(unit); token++) line += lineEnds[tokens[token]];
}

/** Where the parts begin: at the beginning of a line, unless a line is longer than a part. */
const parts = [0];
for (let unit = 1, lineStart = 0; unit < starts.length; unit++) {
  if (lines[unit] !== lines[unit - 1]) lineStart = unit;
  if (unit - parts.at(-1) >= PART) parts.push(lineStart > parts.at(-1) ? lineStart : unit);
}

let part = -1;
let current = -1;
let spans = new Map();

/** What shows a unit: the space that belongs to a word stands before its colour. */
function shownUnit(unit) {
  const text = harmless(textOf(unit).replace(/\n/g, ""));
  const space = data.what === "word" && /^ \S/.test(text) ? " " : "";
  const span = make("span", { "data-unit": unit }, text.slice(space.length));
  const ends = lineEnds[tokens[stopOf(unit) - 1]];
  if (isEnd(tokens[starts[unit]])) span.append(make("span", { class: "sign" }, "\u220e end"));
  else if (ends) span.append(make("span", { class: "sign" }, "\u23ce".repeat(ends)));
  spans.set(unit, span);
  return [space, span];
}

function showPart(number) {
  part = number;
  spans = new Map();
  const last = parts[number + 1] ?? starts.length;
  const rows = document.createDocumentFragment();
  for (let unit = parts[number]; unit < last; ) {
    const line = lines[unit];
    const words = make("div", { class: "words" });
    for (; unit < last && lines[unit] === line; unit++) words.append(...shownUnit(unit));
    const sum = make("div", { class: "sum", title: `line ${line + 1}` }, shownNumber(lineBits[line], 1));
    rows.append(make("div", { class: "row" }, sum, words));
  }
  at("text").replaceChildren(rows);
  at("parts").hidden = parts.length < 2;
  at("part").textContent = `part ${number + 1} of ${parts.length}`;
  at("before").disabled = number === 0;
  at("after").disabled = number === parts.length - 1;
  colour();
}

function colour() {
  const strongest = Number(at("strongest").value);
  const scale = sequential();
  const colours = Array.from({ length: LEVELS + 1 }, (_, level) => rgb(scale(level / LEVELS)));
  for (const [unit, span] of spans) {
    const level = Math.round(LEVELS * Math.min(1, bitsOf(unit) / strongest));
    span.style.backgroundColor = level ? colours[level] : "";
  }
  at("strongest-shown").textContent = `${strongest} bits`;
}

function choose(unit, { scrolls = false } = {}) {
  if (unit < 0 || unit >= starts.length) return;
  const wanted = parts.findLastIndex((start) => start <= unit);
  if (wanted !== part) showPart(wanted);
  spans.get(current)?.classList.remove("now");
  current = unit;
  spans.get(unit).classList.add("now");
  if (scrolls) spans.get(unit).scrollIntoView({ block: "center" });
  showDetails(unit);
}

function showDetails(unit) {
  const first = starts[unit];
  const bits = bitsOf(unit);
  const figures = `${bits.toFixed(2)} bits \u00b7 probability ${shownShare(2 ** -bits)}`;
  const of = stopOf(unit) > first + 1 ? "of its first piece, rank" : "rank";
  const rank = `${of} ${shownNumber(ranks[first])} of ${data.vocabulary}`;
  const heading = make("div", { class: "heading" }, make("span", { class: "quote" }, nameOf(unit)),
    make("span", { class: "number" }, figures));
  heading.append(make("span", { class: "muted small" }, rank));
  const list = make("ol", { "aria-label": "What the model expected" });
  for (let i = 0; i < NUM_LIKELIEST; i++) {
    const index = likeliest[first * NUM_LIKELIEST + i];
    const share = shares[first * NUM_LIKELIEST + i] / 65535;
    const bar = make("span", { class: "bar" });
    bar.style.width = `${100 * share}%`;
    list.append(make("li", index === tokens[first] ? { class: "is" } : {}, make("span", { class: "piece" }, named(index)),
      make("span", { class: "number" }, shownShare(share)), make("span", {}, bar)));
  }
  const spelled = make("p", { class: "small muted spelled" }, "spelled, in bits:");
  for (let token = first; token < stopOf(unit); token++) {
    spelled.append(make("span", {}, make("b", {}, named(tokens[token])), ` ${tokenBits[token].toFixed(1)}`));
  }
  const isSpelled = stopOf(unit) > first + 1;
  at("details").replaceChildren(heading, ...(isSpelled ? [spelled] : []), list);
}

function unitAt(event) {
  const span = event.target.closest("[data-unit]");
  return span ? Number(span.dataset.unit) : -1;
}

/** The first unit of the next line, or of the one before. */
function otherLine(unit, step) {
  let other = unit;
  while (other >= 0 && other < starts.length && lines[other] === lines[unit]) other += step;
  while (other > 0 && lines[other - 1] === lines[other]) other--;
  return other;
}

const KEYS = {
  ArrowRight: (unit) => unit + 1,
  ArrowLeft: (unit) => unit - 1,
  ArrowDown: (unit) => otherLine(unit, 1),
  ArrowUp: (unit) => otherLine(unit, -1),
  Home: (unit) => lines.indexOf(lines[unit]),
};

at("text").addEventListener("pointerover", (event) => choose(unitAt(event)));
at("text").addEventListener("click", (event) => choose(unitAt(event)));
at("text").addEventListener("focus", () => choose(spans.has(current) ? current : parts[part]));
at("text").addEventListener("keydown", (event) => {
  if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  choose(KEYS[event.key](current), { scrolls: true });
});
at("before").addEventListener("click", () => showPart(part - 1));
at("after").addEventListener("click", () => showPart(part + 1));
at("strongest").addEventListener("input", colour);

for (const unit of data.top) {
  let before = "";
  for (let other = unit - 1; other >= 0 && lines[other] === lines[unit] && before.length <= 28; other--) {
    before = textOf(other) + before;
  }
  const cut = before.length > 28 ? `\u2026${before.slice(-28).replace(/^\S+(?=\s)/, "")}` : before;
  const space = data.what === "word" && textOf(unit).startsWith(" ") ? " " : "";
  const quote = make("span", { class: "quote" }, harmless(cut) + space, make("b", {}, nameOf(unit)));
  const link = make("a", { href: `#unit-${unit}` }, make("span", { class: "number" }, `${bitsOf(unit).toFixed(1)} bits`),
    quote, make("span", { class: "where number" }, `line ${lines[unit] + 1}`));
  link.addEventListener("click", () => visit(unit));
  at("top").append(make("li", {}, link));
}
function visit(unit) {
  choose(unit, { scrolls: true });
  at("text").focus({ preventScroll: true });
}
function follow() {
  const found = location.hash.match(/^#unit-(\d+)$/);
  if (found) visit(Number(found[1]));
}
addEventListener("hashchange", follow);

/* The strongest colour begins where one unit in fifty lies. */
const ordered = Float32Array.from(starts, (_, unit) => bitsOf(unit)).sort();
at("strongest").value = Math.max(2, Math.round(ordered[Math.floor(ordered.length * 0.98)]));
showPart(0);
choose(data.top[0] < (parts[1] ?? starts.length) ? data.top[0] : 0);
follow();
inEveryScheme(colour);
