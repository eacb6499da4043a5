
/* The desk, last part: keys, panels, files, and how it begins. */

const MOST_OPENED = 16 * 2 ** 20; // bytes

sheet.addEventListener("input", () => {
  const found = difference(story.text, sheet.value, sheet.selectionEnd);
  if (!found.removed && !found.inserted) return;
  const change = take(story, found.at, found.removed, pieceBy("own", found.inserted), "typing", Date.now());
  draw(change);
  settle();
});
sheet.addEventListener("beforeinput", (event) => {
  stop();
  closeAlternatives();
  clicked = -1;
  if (event.inputType !== "historyUndo" && event.inputType !== "historyRedo") return;
  event.preventDefault();
  move(event.inputType === "historyUndo" ? undo : redo);
});

let clicked = -1; // where the caret was put by a click, while nothing was written since
let pressed = 0; // where the pointer went down: dragging selects, and asks for nothing
let leaves = false; // the next Tab leaves the sheet
sheet.addEventListener("pointerdown", (event) => { pressed = event.clientX + event.clientY; });
sheet.addEventListener("click", (event) => {
  closeAlternatives();
  const place = sheet.selectionStart;
  const isClick = Math.abs(event.clientX + event.clientY - pressed) < 4 && place === sheet.selectionEnd;
  const [from, to] = unitAt(story.text, place, levelOfModel()) ?? [place, place];
  const isSecond = clicked >= from && clicked <= to; // the first one on a word of one's own is for the caret
  clicked = place;
  const isAsked = isSecond || isModels(story, place);
  if (!writing && isClick && event.detail < 2 && place < story.text.length && isAsked) openAlternatives(place);
});
sheet.addEventListener("focus", () => { leaves = false; });

sheet.addEventListener("keydown", (event) => {
  if (event.isComposing || event.altKey !== (event.key === "ArrowDown" || event.key === "ArrowUp")) return;
  if (event.key === "Tab" && !event.shiftKey && !leaves && !event.ctrlKey) goOn();
  else if (event.altKey) openAlternatives(sheet.selectionStart, { focuses: true });
  else return;
  event.preventDefault();
});

addEventListener("keydown", (event) => {
  if (event.isComposing || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const isField = event.target.matches("input, select");
  if (key === "Escape") {
    leaves = !writing && at("alternatives").hidden && event.target === sheet;
    stop();
    closeAlternatives();
    if (leaves) tell("Tab leaves the sheet.");
    return;
  }
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
  if (key === "Enter" && event.shiftKey) again();
  else if (key === "Enter") goOn();
  else if (key === "z" && !isField) move(event.shiftKey ? redo : undo);
  else if (key === "y" && !isField) move(redo);
  else if (key === "s") save();
  else if (key === "o") at("open").click();
  else return;
  event.preventDefault();
});

/** On a button: act, and leave the caret where it is written on, without calling up the keys of a phone. */
function act(id, how) {
  at(id).addEventListener("pointerdown", (event) => event.preventDefault());
  at(id).addEventListener("click", how);
}
act("continue", () => (writing ? stop() : goOn()));
act("again", again);
act("undo", () => move(undo));
act("redo", () => move(redo));
act("earlier", () => visit(versions(story)[versions(story).indexOf(story.now) - 1]));
act("later", () => visit(versions(story)[versions(story).indexOf(story.now) + 1]));
act("surprise", () => {
  const isShown = !isOn("surprise");
  at("surprise").setAttribute("aria-pressed", String(isShown));
  at("scale").hidden = !isShown;
  surprisals = null;
  drawAll();
  if (isShown) score();
});

/* Panels open below their buttons, one at a time. */

for (const button of document.querySelectorAll("[aria-controls]")) {
  const panel = at(button.getAttribute("aria-controls"));
  button.addEventListener("click", () => {
    if (panel.id === "branches") listBranches();
  });
  panel.addEventListener("toggle", (event) => button.setAttribute("aria-expanded", String(event.newState === "open")));
}

const MOST_LISTED = 50;
function listBranches() {
  const lengths = lengthsOf(story.steps);
  const here = wayOn(story);
  const items = tips(story).slice(0, MOST_LISTED).map((tip) => {
    const { inserted, removed } = story.steps[tip];
    const text = (inserted.text || removed.text).trim().replace(/\s+/g, " ");
    const end = text.length > 90 ? `\u2026${text.slice(-90)}` : text;
    const words = make("span", { class: "end" }, inserted.text ? end || "an empty sheet" : end ? `without \u201c${end}\u201d` : "an empty sheet");
    const isHere = tip === here;
    const about = make("span", { class: "small muted" },
      `${shownNumber(lengths[tip])} characters${isHere ? " \u00b7 you are here" : ""}`);
    const button = make("button", isHere ? { "aria-current": "true" } : {}, words, about);
    button.addEventListener("click", () => {
      at("branches").togglePopover(false);
      visit(tip);
      sheet.focus();
    });
    return make("li", {}, button);
  });
  at("tips").replaceChildren(...items);
}

/* Files. */

function download(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

/** A name for a file, from the first words. */
function nameOfFile() {
  const words = story.text.slice(0, 200).match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.slice(0, 5).join("-").toLowerCase().slice(0, 60) || "untitled";
}

function save() {
  keep();
  const settings = Object.fromEntries(SETTINGS.map((name) => [name, at(name).value]));
  download(`${nameOfFile()}.textgen.json`, JSON.stringify(sessionOf(story, model(), settings)), "application/json");
}

/** Put a whole text there, as a step that can be undone. */
function begin(text) {
  tell("");
  stop();
  closeAlternatives();
  take(story, 0, story.text.length, pieceBy("own", unix(text)), "own");
  changed(null);
}

async function open(file) {
  if (file.size > MOST_OPENED) return tell(`${file.name} is larger than 16 MB.`, true);
  const text = await file.text();
  if (!file.name.endsWith(".json")) return begin(text.replace(/^\ufeff/, ""));
  try {
    const session = JSON.parse(text);
    storyOf(session);
    if (story.steps.length > 1 && !confirm("Open this session in place of the one on the desk?")) return;
    stop();
    closeAlternatives();
    show(session);
    tell("");
  } catch (error) {
    tell(`${file.name} cannot be opened: ${error instanceof SyntaxError ? "it is no JSON" : error.message}.`, true);
  }
}

at("save").addEventListener("click", save);
at("save-text").addEventListener("click", () => download(`${nameOfFile()}.txt`, story.text, "text/plain"));
at("new").addEventListener("click", () => begin(""));
at("open").addEventListener("change", () => {
  const [file] = at("open").files;
  at("open").value = "";
  if (file) open(file);
});
for (const id of ["save", "save-text", "new", "open"]) {
  at(id).addEventListener("click", () => at("files").togglePopover(false));
}
for (const name of [...SETTINGS, "model"]) {
  at(name).addEventListener("change", () => {
    surprisals = null;
    settle();
  });
}
at("defaults").addEventListener("click", () => {
  for (const name of SETTINGS) at(name).value = at(name).defaultValue;
  settle();
});
addEventListener("pagehide", keep);
addEventListener("resize", closeAlternatives);

/* The beginning: what stood here before. */

async function findModels() {
  try {
    const found = (await answerTo("/v1/models")).data;
    data.models = found;
    at("model").replaceChildren(...found.map(({ id }) => make("option", { value: id }, id)));
  } catch (error) {
    complain(error);
  }
}

async function start() {
  if (!data.models.length) await findModels();
  for (const store of [sessionStorage, localStorage]) {
    const kept = store.getItem(STORE);
    if (kept === null) continue;
    try {
      show(JSON.parse(kept));
      return;
    } catch { /* of another version of this page, or damaged: an empty sheet */ }
  }
  changed(null);
}
start().then(() => sheet.focus({ preventScroll: true }));
