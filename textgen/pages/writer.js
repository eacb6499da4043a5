
/* The page of `textgen export --format html`. A token is { id, text, begins }: whether it begins a word or a sign. The
   worker keeps nothing that the page does not know, so to undo is to show what was there before. */

const isWords = data.level === "word";
const worker = new Worker(URL.createObjectURL(new Blob([data.worker], { type: "text/javascript" })));
const ENDS = { document: "Here the text ends. ", nothing: "Whatever could follow would repeat something. " };
const NOTHING = { prompt: "", start: [], tokens: [], from: 0, isOver: false };

let now = NOTHING; // what is shown: the prompt as it was read, its ids, what was written, and where the last text began
const before = []; // what was shown, for Undo
let number = 0; // of the latest request
let take = () => {}; // what is done with its answers
let isBusy = true;
let chosen = -1; // the token at which the word begins whose alternatives are shown, or that the arrow keys are at

/** Ask the worker; whatever it was doing ends. The promise has its last answer. */
function ask(kind, request = {}, onAnswer = () => {}, transfer = []) {
  number++;
  return new Promise((done, fail) => {
    take = (answer) => {
      if (!answer.done) onAnswer(answer);
      else if (answer.problem) fail(new Error(answer.problem));
      else done(answer);
    };
    worker.postMessage({ number, kind, ...request }, transfer);
  });
}
worker.onmessage = ({ data: answer }) => {
  if (answer.number === number) take(answer);
};
worker.onerror = (event) => failed(event.message);

function failed(problem) {
  setBusy(false);
  say(`Something went wrong: ${problem}`);
}
/** What an event does; what goes wrong in it is said. */
const doing = (action) => (event) => {
  event.preventDefault();
  Promise.resolve(action()).catch((problem) => failed(problem.message));
};
const say = (text) => { at("status").textContent = text; };

function setBusy(busy) {
  isBusy = busy;
  at("write").disabled = busy;
  at("stop").disabled = !busy;
  at("go-on").disabled = at("again").disabled = busy || now === NOTHING;
  at("undo").disabled = busy || !before.length;
  at("text").classList.toggle("busy", busy);
}

/** Show another state of the text; what was shown comes back with Undo. */
function change(next) {
  before.push(now);
  now = next;
  showText();
}

/** Write a text that continues `now`, in place of what stands there from its token `from` on. */
async function write(from, chosenSettings) {
  close();
  const length = chosenSettings.length;
  now = { ...now, tokens: now.tokens.slice(0, from), from, isOver: false };
  showText();
  setBusy(true);
  say("Writing ...");
  at("seed").value = String(chosenSettings.seed === BigInt(data.limits.seed.most) ? 0n : chosenSettings.seed + 1n);
  const since = performance.now();
  const ids = [...now.start, ...now.tokens.map((token) => token.id)];
  const add = ({ tokens }) => {
    now.tokens.push(...tokens);
    addTokens(tokens);
    say(`Writing ... ${counted(now.tokens.slice(now.from))} of ${counted(length)}`);
  };
  const { reason } = await ask("write", { ids, settings: chosenSettings }, add);
  now = { ...now, isOver: reason === "document" };
  setBusy(false);
  const seconds = (performance.now() - since) / 1000;
  const written = now.tokens.slice(now.from);
  const pace = `${counted(Math.round(unitsOf(written) / seconds))} a second`;
  const end = ENDS[reason] ?? "";
  say(`${end}${counted(written)}, ${pace}, seed ${chosenSettings.seed}`);
}

/** How much `--length` counts: characters, or words and signs. */
const unitsOf = (tokens) => (isWords ? tokens.filter((token) => token.begins).length : tokens.length);
/** Tokens, or a number of units, in words. */
function counted(amount) {
  const count = typeof amount === "number" ? amount : unitsOf(amount);
  return `${shownNumber(count)} ${isWords ? "word" : "character"}${count === 1 ? "" : "s"}`;
}

/** A new text, from the prompt. */
async function begin() {
  const chosenSettings = settings();
  if (!chosenSettings) return;
  setBusy(true);
  const { ids, text, replaced } = await ask("read", { prompt: at("prompt").value });
  change({ ...NOTHING, prompt: text, start: ids, tokens: [] });
  noteReplaced(replaced);
  await write(0, chosenSettings);
}

function noteReplaced(replaced) {
  const named = replaced.slice(0, 10).map(([symbol, form]) => `${symbol} (${form ? `read as ${form}` : "left out"})`);
  const more = replaced.length > 10 ? ` and ${replaced.length - 10} more` : "";
  at("replaced").textContent = named.length ? `The model has never seen ${named.join(", ")}${more}.` : "";
}

async function goOn() {
  const chosenSettings = settings();
  if (!chosenSettings) return;
  const end = { id: data.eodId, text: data.separator, begins: true };
  change({ ...now, tokens: now.isOver ? [...now.tokens, end] : now.tokens });
  await write(now.tokens.length, chosenSettings);
}

async function again() {
  const chosenSettings = settings();
  if (!chosenSettings) return;
  change(now);
  await write(now.from, chosenSettings);
}

function stop() {
  ask("stop");
  setBusy(false);
  now = { ...now };
  say(`Stopped after ${counted(now.tokens.slice(now.from))}`);
}

function undo() {
  now = before.pop();
  close();
  showText();
  setBusy(false);
  say("");
}

/* ---- the text */

function showText() {
  at("text").replaceChildren(make("span", { class: "begun" }, now.prompt));
  addTokens(now.tokens);
}

/** Add tokens to what is shown. The space that begins a word stands before what can be clicked. */
function addTokens(tokens) {
  const text = at("text");
  let place = now.tokens.length - tokens.length;
  for (const token of tokens) {
    const space = token.begins && /^ \S/.test(token.text) ? " " : "";
    const last = text.lastElementChild;
    if (token.begins || !last.dataset.place) {
      text.append(space, make("span", { class: "unit", "data-place": place }, token.text.slice(space.length)));
    } else {
      last.append(token.text);
    }
    place++;
  }
}

const unitAt = (place) => at("text").querySelector(`[data-place="${place}"]`);
/** The place behind a word that begins at `place`. */
function behind(place) {
  const next = now.tokens.findIndex((token, other) => other > place && token.begins);
  return next < 0 ? now.tokens.length : next;
}
const textOf = (tokens) => tokens.map((token) => token.text).join("");
/** A word as it is named: without the space that begins it, and with signs for what is white. */
function named(text) {
  const inside = text.trim() === "" ? text.replace(/ /g, "\u2423") : text.replace(/^ /, "");
  return inside.replace(/\n/g, "\u23ce").replace(/\t/g, "\u21e5");
}

function mark(place) {
  unitAt(chosen)?.classList.remove("now");
  chosen = place;
  unitAt(place)?.classList.add("now");
}

function close() {
  at("other").hidden = true;
  mark(-1);
}

/** Show what else the word could have been that begins at `place`. */
async function open(place) {
  mark(place);
  const panel = at("other");
  const is = textOf(now.tokens.slice(place, behind(place)));
  panel.replaceChildren(make("p", { class: "muted small" }, "Looking ..."));
  panel.hidden = false;
  const ids = [...now.start, ...now.tokens.slice(0, place).map((token) => token.id)];
  const { found } = await ask("alternatives", { ids });
  const heading = make("p", { class: "small muted" }, "In place of ", make("b", {}, named(is)),
    " the model could have written:");
  const list = make("ul", {});
  for (const { tokens, share } of found) {
    const text = textOf(tokens);
    const button = make("button", { type: "button" }, make("span", { class: "word" }, named(text)),
      make("span", { class: "number muted small" }, shownShare(share)));
    if (text === is) button.setAttribute("aria-current", "true");
    button.addEventListener("click", doing(() => choose(place, tokens)));
    list.append(make("li", {}, button));
  }
  const leave = make("button", { type: "button", class: "leave" }, "Leave it");
  leave.addEventListener("click", () => { close(); at("text").focus(); });
  panel.replaceChildren(heading, list, leave);
  list.querySelector("button")?.focus({ preventScroll: true });
  panel.scrollIntoView({ block: "nearest" });
  const hidden = unitAt(place).getBoundingClientRect().bottom - panel.getBoundingClientRect().top;
  if (hidden > 0) scrollBy(0, hidden + 24); // the panel stays at the bottom of the window
}

/** Put other tokens in place of the word at `place`, and write anew as much as stood behind it. */
async function choose(place, tokens) {
  const rest = now.tokens.slice(behind(place));
  const chosenSettings = settings();
  if (!chosenSettings) return;
  change({ ...now, tokens: [...now.tokens.slice(0, place), ...tokens], isOver: false });
  close();
  at("text").focus({ preventScroll: true });
  if (rest.length) await write(now.tokens.length, { ...chosenSettings, length: unitsOf(rest) });
  else setBusy(false);
}

/** The beginning of the word before or after the one at `place`. */
function neighbour(place, step) {
  let other = place + step;
  while (other >= 0 && other < now.tokens.length && !now.tokens[other].begins) other += step;
  return other >= 0 && other < now.tokens.length ? other : place;
}

/* ---- the form */

at("form").addEventListener("submit", doing(begin));
at("stop").addEventListener("click", doing(stop));
at("go-on").addEventListener("click", doing(goOn));
at("again").addEventListener("click", doing(again));
at("undo").addEventListener("click", doing(undo));
at("prompt").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !isBusy) at("form").requestSubmit();
});
at("text").addEventListener("click", (event) => {
  const unit = event.target.closest("[data-place]");
  if (unit && !isBusy && getSelection().isCollapsed) doing(() => open(Number(unit.dataset.place)))(event);
});
at("text").addEventListener("keydown", (event) => {
  if (isBusy || !now.tokens.length || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) {
    mark(chosen < 0 ? 0 : neighbour(chosen, step));
    unitAt(chosen)?.scrollIntoView({ block: "nearest" });
  } else if (event.key === "Enter" && chosen >= 0) {
    doing(() => open(chosen))(event);
  } else {
    return;
  }
  event.preventDefault();
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && isBusy && now !== NOTHING) stop();
  else if (event.key === "Escape" && !at("other").hidden) {
    close();
    at("text").focus();
  }
});

const parts = [unpack(data.model, Uint8Array), unpack(data.weights, Uint8Array)];
delete data.model;
delete data.weights;
ask("open", { document: parts[0], weights: parts[1] }, () => {}, parts.map((part) => part.buffer)).then(() => {
  setBusy(false);
  say("");
}, (problem) => say(`The model cannot be opened here: ${problem.message}. A newer browser may help.`));
