
/* The page of `textgen gates`. A unit is known by its place among those of its layer that are drawn. */

const T = data.pieces.length;
const layers = data.layers.map((layer) => ({ ...layer, values: layer.values.map((text) => unpack(text, Uint8Array)) }));
const chosen = { layer: layers.length - 1, part: data.parts.length - 1, place: 0, token: 0, order: "memory" };

/** The value of a unit's part after a token: 0 to 1 of a gate, -1 to 1 of another part. */
function valueOf(part, place, token) {
  const share = layers[chosen.layer].values[part][place * T + token] / 255;
  return data.parts[part].isGate ? share : 2 * share - 1;
}

const order = () => layers[chosen.layer].orders[chosen.order];
const rowOf = (place) => order().indexOf(place);
const partName = (part) => data.parts[part].name + (data.parts[part].isGate ? " gate" : "");
const shown = (piece) =>
  piece.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
const signOf = (piece) => (piece === "" ? "\u220e" : shown(piece).replace(/\n/g, "\u23ce").replace(/\t/g, "\u21e5"));

function drawMap() {
  const canvas = at("cells");
  const rows = order();
  const isGate = data.parts[chosen.part].isGate;
  const scale = isGate ? scaleOf("--middle", "--high") : diverging();
  const colours = Array.from({ length: 256 }, (_, byte) => scale(byte / 255));
  const values = layers[chosen.layer].values[chosen.part];
  canvas.width = T;
  canvas.height = rows.length;
  const picture = new ImageData(T, rows.length);
  rows.forEach((place, row) => {
    for (let token = 0; token < T; token++) {
      picture.data.set([...colours[values[place * T + token]], 255], 4 * (row * T + token));
    }
  });
  canvas.getContext("2d").putImageData(picture, 0, 0);
  const style = getComputedStyle(at("map"));
  canvas.style.width = `${T * parseFloat(style.getPropertyValue("--cell"))}px`;
  canvas.style.height = `${rows.length * parseFloat(style.getPropertyValue("--height"))}px`;
  at("ramp").className = `ramp ${isGate ? "gate" : "signed"}`;
  at("ends").textContent = isGate ? "0 to 1" : data.parts[chosen.part].name === "memory" ? "\u22121 to 1, its tanh" : "\u22121 to 1";
}

const spans = data.pieces.map((piece, token) => {
  const span = make("span", { "data-token": token }, shown(piece));
  if (piece === "") span.append(make("span", { class: "sign" }, "\u220e end\n"));
  return span;
});
at("text").append(...spans);
const labels = data.pieces.map((piece) => make("span", {}, signOf(piece)));
at("axis").append(...labels);
at("map").classList.toggle("words", data.level === "word");

function drawText() {
  const scale = data.parts[chosen.part].isGate
    ? scaleOf("--paper", "--high-text") : scaleOf("--low-text", "--paper", "--high-text");
  const colours = Array.from({ length: 256 }, (_, byte) => rgb(scale(byte / 255)));
  const values = layers[chosen.layer].values[chosen.part];
  spans.forEach((span, token) => { span.style.backgroundColor = colours[values[chosen.place * T + token]]; });
  at("unit-name").textContent =
    `layer ${chosen.layer + 1}, unit ${layers[chosen.layer].units[chosen.place]}: its ${partName(chosen.part)}`;
}

function drawReading() {
  const list = make("ol");
  data.parts.forEach((_, part) => {
    const value = valueOf(part, chosen.place, chosen.token);
    const bar = make("span", { class: value < 0 ? "bar below" : "bar" });
    const from = data.parts[part].isGate ? 0 : 50;
    const length = Math.abs(value) * (100 - from);
    bar.style.left = `${value < 0 ? from - length : from}%`;
    bar.style.width = `${length}%`;
    list.append(make("li", {}, make("span", {}, partName(part)),
      make("span", { class: "number" }, value.toFixed(2).replace("-", "\u2212")), make("span", { class: "track" }, bar)));
  });
  const where = `layer ${chosen.layer + 1}, unit ${layers[chosen.layer].units[chosen.place]}, after token `;
  at("reading").replaceChildren(make("strong", {}, `\u201c${signOf(data.pieces[chosen.token])}\u201d`),
    make("span", { class: "muted small" }, `  ${where}${shownNumber(chosen.token + 1)} of ${shownNumber(T)}`), list);
}

function mark() {
  const style = getComputedStyle(at("map"));
  at("row").style.top = `${rowOf(chosen.place) * parseFloat(style.getPropertyValue("--height"))}px`;
  at("column").style.left = `${chosen.token * parseFloat(style.getPropertyValue("--cell"))}px`;
  for (const now of document.querySelectorAll(".now")) now.classList.remove("now");
  spans[chosen.token].classList.add("now");
  labels[chosen.token].classList.add("now");
  for (const [id, value] of [["layers", chosen.layer], ["names", chosen.part]]) {
    [...at(id).children].forEach((button, index) => button.setAttribute("aria-pressed", String(index === value)));
  }
}

/** Change what is chosen, and draw what depends on it. */
function choose(changes) {
  const before = { ...chosen };
  Object.assign(chosen, changes);
  chosen.place = Math.min(chosen.place, layers[chosen.layer].units.length - 1);
  const differs = (...names) => names.some((name) => before[name] !== chosen[name]);
  if (differs("layer", "part", "order")) drawMap();
  if (differs("layer", "part", "place")) drawText();
  drawReading();
  mark();
}

function cellAt(event) {
  const box = at("cells").getBoundingClientRect();
  const token = Math.floor(((event.clientX - box.left) / box.width) * T);
  const row = Math.floor(((event.clientY - box.top) / box.height) * order().length);
  return { token: Math.min(T - 1, Math.max(0, token)), place: order()[Math.min(order().length - 1, Math.max(0, row))] };
}

/** Scroll the map so that the chosen token is seen. */
function reveal() {
  const map = at("map");
  const left = at("column").offsetLeft;
  if (left < map.scrollLeft + 40 || left > map.scrollLeft + map.clientWidth - 60) map.scrollLeft = left - map.clientWidth / 2;
}

const KEYS = {
  ArrowRight: () => ({ token: Math.min(T - 1, chosen.token + 1) }),
  ArrowLeft: () => ({ token: Math.max(0, chosen.token - 1) }),
  ArrowDown: () => ({ place: order()[Math.min(order().length - 1, rowOf(chosen.place) + 1)] }),
  ArrowUp: () => ({ place: order()[Math.max(0, rowOf(chosen.place) - 1)] }),
};

layers.forEach((_, layer) => {
  const button = make("button", {}, `layer ${layer + 1}`);
  button.addEventListener("click", () => choose({ layer, place: layers[layer].orders[chosen.order][0] }));
  at("layers").append(button);
});
data.parts.forEach((_, part) => {
  const button = make("button", {}, partName(part));
  button.addEventListener("click", () => choose({ part }));
  at("names").append(button);
});
for (const button of at("found").querySelectorAll("button")) {
  button.addEventListener("click", () => {
    choose({ layer: Number(button.dataset.layer), place: Number(button.dataset.place), part: data.parts.length - 1 });
    at("unit-name").scrollIntoView({ block: "start" });
  });
}
at("order").addEventListener("change", () => choose({ order: at("order").value }));
at("cells").addEventListener("click", (event) => choose(cellAt(event)));
at("cells").addEventListener("pointermove", (event) => choose({ token: cellAt(event).token }));
at("text").addEventListener("pointerover", (event) => {
  const span = event.target.closest("[data-token]");
  if (span) choose({ token: Number(span.dataset.token) });
});
at("map").addEventListener("keydown", (event) => {
  if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  choose(KEYS[event.key]());
  reveal();
});

const named = at("found").querySelector("button");
if (named) Object.assign(chosen, { layer: Number(named.dataset.layer), place: Number(named.dataset.place) });
else chosen.place = order()[0];
inEveryScheme(() => {
  drawMap();
  drawText();
});
drawReading();
mark();
