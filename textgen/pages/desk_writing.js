
/* The desk, fourth part: writing, other ways to go on, and what surprises. */

const STORE = "textgen desk";
const MOST_SCORED = 20000; // characters that are coloured
const NUM_ALTERNATIVES = 8;
const LEAST_ROOM = 160; // pixels for them
const SETTINGS = ["max_tokens", "temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed", "stop-at", "reads"];
const isOn = (id) => at(id).getAttribute("aria-pressed") === "true";
const unix = (text) => text.replace(/\r\n?/g, "\n");
const whole = (text) => (text.toWellFormed ? text.toWellFormed() : text);
const model = () => at("model").value;
const levelOfModel = () => data.models.find((one) => one.id === model())?.level;
const heard = (text, place) => whole(lastOf(text.slice(0, place), Number(at("reads").value)));

function tell(text, isError = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", isError);
}
const complain = (error) => error.name !== "AbortError" && tell(error.message, true);

/* Everything that follows from a change. */

let saving = 0;
function changed(change, caret = null) {
  if (!change) surprisals = null;
  if (change) draw(change);
  else drawAll();
  put(change ?? { at: 0, removed: "", inserted: "" }, change ? caret : caret ?? story.text.length);
  settle();
}

function settle() {
  const others = versions(story);
  at("undo").disabled = story.now === 0;
  at("redo").disabled = story.steps[story.now].next < 0;
  at("again").disabled = others.length === 0;
  at("versions").hidden = others.length < 2;
  at("version").textContent = `${others.indexOf(story.now) + 1} of ${others.length}`;
  at("earlier").disabled = others[0] === story.now;
  at("later").disabled = others.at(-1) === story.now;
  clearTimeout(saving);
  saving = setTimeout(rest, 400);
}

/** What waits for a pause. */
function rest() {
  const words = story.text.match(/\S+/g)?.length ?? 0;
  at("count").textContent = words ? `${shownNumber(words)} word${words === 1 ? "" : "s"}` : "";
  keep();
  if (isOn("surprise") && !writing) score();
}

function keep() {
  clearTimeout(saving);
  const settings = Object.fromEntries(SETTINGS.map((name) => [name, at(name).value]));
  const session = JSON.stringify(sessionOf(story, model(), settings));
  const short = () => JSON.stringify(sessionOf(newStory({ text: story.text, marks: story.marks }), model(), settings));
  for (const store of [sessionStorage, localStorage]) { // a tab's own text, and the latest of all
    try {
      store.setItem(STORE, session);
    } catch {
      try {
        store.setItem(STORE, short());
      } catch {
        tell("This text is too long to be kept by the browser. Save it to a file.", true);
      }
    }
  }
}

function show(session) {
  story = storyOf(session);
  if (data.models.some((one) => one.id === session.model)) at("model").value = session.model;
  for (const name of SETTINGS) if (typeof session.settings?.[name] === "string") at(name).value = session.settings[name];
  changed(null);
}

/* Writing. */

let writing = null; // what stops the model, while it writes
function stop() {
  writing?.abort();
  writing = null;
  at("continue").textContent = "Continue";
}

/** What is asked for. A setting that is empty is left to the server. */
function request(text, place) {
  const body = { model: model(), prompt: heard(text, place) };
  for (const name of SETTINGS.slice(0, 7)) {
    if (at(name).value !== "") body[name] = Number(at(name).value);
  }
  const end = at("stop-at").value.replace(/\\n/g, "\n");
  if (end) body.stop = [end];
  const others = story.steps.filter((step) => step.parent === story.now && step.by === "model" && step.at === place);
  if ("seed" in body) body.seed += others.length; // the same seed would give the same words again
  return body;
}

/** Let the model go on at a place. */
async function goOn(place = sheet.selectionEnd) {
  stop();
  closeAlternatives();
  const wrong = wrongSetting(SETTINGS);
  if (wrong) {
    tell(wrong, true);
    return false;
  }
  const controller = writing = new AbortController();
  at("continue").textContent = "Stop";
  tell(`${model()} writes\u2026`);
  let waiting = "";
  let frame = 0;
  let begun = false;
  const flush = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    if (!waiting || controller.signal.aborted) return;
    const follows = !begun || sheet.selectionStart === story.steps[story.now].at + story.steps[story.now].inserted.text.length;
    const piece = pieceBy("model", unix(waiting));
    waiting = "";
    const change = begun ? extend(story, piece) : take(story, place, 0, piece, "model");
    begun = true;
    const end = change.at + piece.text.length;
    changed(change, follows ? end : null);
    if (follows) bringIntoView(end);
  };
  try {
    const reason = await stream(request(story.text, place), controller.signal, (text) => {
      waiting += text;
      frame ||= requestAnimationFrame(flush);
    });
    flush();
    tell(reason === "stop" && !begun ? "The model ends the text here." : "");
  } catch (error) {
    flush();
    if (!writing || writing === controller) tell("");
    complain(error);
  }
  if (writing === controller) stop();
  settle();
  return begun;
}

function bringIntoView(place) {
  const { bottom } = rectangleOf(Math.max(0, place - 1), place);
  const floor = at("foot").getBoundingClientRect().top - 24;
  if (bottom > floor && bottom < floor + innerHeight / 2) scrollBy(0, bottom - floor);
}

/** The latest continuation once more, in other words. */
async function again() {
  if (!versions(story).length) return;
  stop();
  const latest = story.now;
  const change = undo(story);
  changed(change, change.at);
  const from = story.now;
  if (!(await goOn(change.at)) && story.now === from) visit(latest);
}

function visit(step) {
  stop();
  closeAlternatives();
  goTo(story, step);
  const { at: place, inserted } = story.steps[story.now];
  changed(null, Math.min(place + inserted.text.length, story.text.length));
}

function move(step) {
  stop();
  closeAlternatives();
  const change = step(story);
  if (change) changed(change, change.at + change.inserted.length);
  if (change) bringIntoView(sheet.selectionEnd);
}

/* Alternatives. */

let choosing = null; // { from, to, controller }
function closeAlternatives() {
  choosing?.controller.abort();
  choosing = null;
  globalThis.CSS?.highlights?.delete("chosen");
  const hadFocus = at("alternatives").contains(document.activeElement);
  at("alternatives").hidden = true;
  if (hadFocus) sheet.focus({ preventScroll: true });
}

async function openAlternatives(place, { focuses = false } = {}) {
  closeAlternatives();
  const wrong = wrongSetting(["reads"]);
  if (wrong) return tell(wrong, true);
  const length = story.text.length;
  const [from, to] = unitAt(story.text, place, levelOfModel()) ?? [length, length]; // what could come next
  const chosen = choosing = { from, to, controller: new AbortController() };
  try {
    const body = { model: model(), text: heard(story.text, from), k: NUM_ALTERNATIVES };
    const found = await answerTo("/v1/alternatives", body, chosen.controller.signal);
    if (choosing !== chosen) return;
    tell("");
    showAlternatives(found);
    if (focuses) at("alternatives").querySelector("[role=option]")?.focus({ preventScroll: true });
  } catch (error) {
    if (choosing === chosen) choosing = null;
    complain(error);
  }
}

/** A piece as it is named: without the space before it, and with signs for what is white. */
const named = (text) => text.replace(/^ (?=\S)/, "").replace(/ /g, "\u2423").replace(/\n/g, "\u23ce").replace(/\t/g, "\u21e5");

function showAlternatives({ alternatives, end }) {
  const { from, to } = choosing;
  const now = story.text.slice(from, to);
  const list = at("ways");
  list.replaceChildren(...alternatives.map(([text, probability]) => {
    const bar = make("span", { class: "bar" });
    bar.style.width = `${100 * probability}%`;
    const isNow = text === now;
    const way = make("li", { role: "option", tabindex: "-1", "aria-selected": String(isNow) },
      make("span", { class: "piece" }, named(text)), make("span", { class: "number" }, shownShare(probability)), bar);
    way.addEventListener("click", (event) => choose(unix(text), event.shiftKey));
    return way;
  }));
  at("end").hidden = !(end >= 0.0005);
  at("end").textContent = `The text ends here: ${shownShare(end ?? 0)}`;
  const shown = from + now.length - now.trimStart().length;
  const box = rectangleOf(Math.max(0, Math.min(shown, to - 1)), to);
  const panel = at("alternatives");
  panel.hidden = false;
  panel.style.maxHeight = "none";
  const frame = at("frame").getBoundingClientRect();
  const above = box.top - at("head").getBoundingClientRect().bottom - 12;
  const below = at("foot").getBoundingClientRect().top - box.bottom - 24;
  const isAbove = panel.offsetHeight > below && above > below;
  panel.style.maxHeight = `${Math.max(LEAST_ROOM, isAbove ? above : below)}px`; // what has no room is scrolled to
  const left = Math.min(box.left - frame.left - 12, frame.width - panel.offsetWidth - 12);
  panel.style.left = `${Math.max(0, left)}px`;
  panel.style.top = `${isAbove ? box.top - frame.top - panel.offsetHeight - 6 : box.bottom - frame.top + 6}px`;
  if (globalThis.Highlight) CSS.highlights.set("chosen", new Highlight(rangeOf(shown, to)));
}

/** Take another piece there; and let the model go on from it, in place of what it had written behind. */
function choose(text, goesOn = false) {
  const { from, to } = choosing;
  const end = goesOn ? Math.max(to, endOfStretch(story, to)) : to;
  closeAlternatives();
  stop();
  const piece = pieceBy("model", from === 0 ? text.trimStart() : text);
  const place = from + piece.text.length;
  changed(take(story, from, end - from, piece, "own"), place);
  sheet.focus({ preventScroll: true });
  if (goesOn) goOn(place);
}

at("write-on").addEventListener("click", () => choose(story.text.slice(choosing.from, choosing.to), true));
at("alternatives").addEventListener("keydown", (event) => {
  const ways = [...at("ways").children];
  const index = ways.indexOf(document.activeElement);
  const keys = {
    ArrowDown: () => (ways[index + 1] ?? at("write-on")).focus(),
    ArrowUp: () => (index < 0 ? ways.at(-1) : ways[Math.max(0, index - 1)]).focus(),
    ArrowLeft: () => choosing.from > 0 && openAlternatives(choosing.from - 1, { focuses: true }),
    ArrowRight: () => choosing.to < story.text.length && openAlternatives(choosing.to, { focuses: true }),
    Escape: closeAlternatives,
  };
  if (event.key in keys) keys[event.key]();
  else if (event.key === "Enter" && index >= 0) ways[index].dispatchEvent(new MouseEvent("click", { shiftKey: event.shiftKey }));
  else return;
  event.preventDefault();
  event.stopPropagation();
});

/* Surprisal. */

let scoring = null;
async function score() {
  scoring?.abort();
  scoring = new AbortController();
  const text = story.text;
  const part = whole(lastOf(text, MOST_SCORED));
  if (!part) return;
  try {
    const { pieces } = await answerTo("/v1/score", { model: model(), text: part }, scoring.signal);
    if (text !== story.text || !isOn("surprise")) return;
    const told = pieces.reduce((sum, [piece]) => sum + piece.length, 0); // without a first one that nothing predicts
    surprisals = { ends: [Math.max(0, text.length - told)], bits: [0] };
    for (const [piece, bits] of pieces) {
      surprisals.ends.push(surprisals.ends.at(-1) + piece.length);
      surprisals.bits.push(bits);
    }
    drawAll();
    if (part.length < text.length) tell(`The last ${shownNumber(part.length)} characters are coloured.`);
  } catch (error) {
    complain(error);
  }
}
