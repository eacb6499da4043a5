
/* The desk, first part: a story. Plain values and functions, which touch no page.

   A story is a text, the stretches of it that the model wrote, and a tree of the steps that led to it. A step replaces
   what stands at a place by something else. Undoing goes to the parent of a step and keeps it, so nothing that was ever
   written is lost, and a step that is taken from there is a branch. */

const MAX_STEPS = 2000;
const PAUSE = 1500; // milliseconds without a key, after which typing is a new step

/* Stretches: [from, to, from, to, ...], in order, apart from one another. */

function cutMarks(marks, from, to) {
  const cut = [];
  for (let i = 0; i < marks.length; i += 2) {
    const start = Math.max(marks[i], from);
    const end = Math.min(marks[i + 1], to);
    if (start < end) cut.push(start - from, end - from);
  }
  return cut;
}

function joinMarks(...parts) {
  const joined = [];
  let offset = 0;
  for (const { text, marks } of parts) {
    for (let i = 0; i < marks.length; i += 2) {
      if (joined.at(-1) === marks[i] + offset) joined[joined.length - 1] = marks[i + 1] + offset;
      else joined.push(marks[i] + offset, marks[i + 1] + offset);
    }
    offset += text.length;
  }
  return joined;
}

/** A piece of text with its stretches: all the model's, or all one's own. */
const pieceBy = (who, text) => ({ text, marks: who === "model" && text ? [0, text.length] : [] });
const cutPiece = ({ text, marks }, from, to) => ({ text: text.slice(from, to), marks: cutMarks(marks, from, to) });
const joinPieces = (...parts) => ({ text: parts.map((part) => part.text).join(""), marks: joinMarks(...parts) });
const isModels = (story, place) => story.marks.findLastIndex((mark) => mark <= place) % 2 === 0;

/** The end of the model's stretch that holds `place`, or `place`. */
function endOfStretch(story, place) {
  const index = story.marks.findLastIndex((mark) => mark <= place);
  return index >= 0 && index % 2 === 0 ? story.marks[index + 1] : place;
}

function newStory(piece = pieceBy("own", "")) {
  return { ...piece, steps: [{ parent: -1, next: -1, at: 0, removed: pieceBy("own", ""), inserted: piece, by: "own" }], now: 0 };
}

function replace(story, at, length, inserted) {
  const before = cutPiece(story, 0, at);
  const after = cutPiece(story, at + length, story.text.length);
  Object.assign(story, joinPieces(before, inserted, after));
}

/** Take a step. It returns the place that changed: { at, removed, inserted }, as all that follow do. */
function take(story, at, length, inserted, by, when = 0) {
  const removed = cutPiece(story, at, at + length);
  const old = story.steps[story.now];
  replace(story, at, length, inserted);
  const change = { at, removed: removed.text, inserted: inserted.text };
  if (by === "typing" && joinsTyping(story, old, change, when)) {
    extendTyping(old, change, removed, inserted);
    old.when = when;
    return change;
  }
  story.steps.push({ parent: story.now, next: -1, at, removed, inserted, by, when });
  old.next = story.now = story.steps.length - 1;
  if (story.steps.length > MAX_STEPS) forgetOldest(story);
  return change;
}

/** Whether something typed belongs to the latest step: at once after it, at its end, in the same paragraph. */
function joinsTyping(story, step, change, when) {
  if (step.by !== "typing" || step.next >= 0 || when - step.when > PAUSE || story.now === 0) return false;
  if (step.inserted.text.endsWith("\n")) return false;
  const isWithin = !change.inserted || change.removed.length <= step.inserted.text.length; // as input methods replace
  return isWithin && change.at + change.removed.length === step.at + step.inserted.text.length;
}

function extendTyping(step, change, removed, inserted) {
  const taken = change.removed.length;
  const kept = step.inserted.text.length - taken;
  if (kept < 0) {
    step.removed = joinPieces(cutPiece(removed, 0, -kept), step.removed);
    step.at = change.at;
  }
  step.inserted = joinPieces(cutPiece(step.inserted, 0, Math.max(0, kept)), inserted);
}

/** More of what the latest step inserts. */
function extend(story, inserted) {
  const step = story.steps[story.now];
  const at = step.at + step.inserted.text.length;
  replace(story, at, 0, inserted);
  step.inserted = joinPieces(step.inserted, inserted);
  return { at, removed: "", inserted: inserted.text };
}

function undo(story) {
  if (story.now === 0) return null;
  const { parent, at, removed, inserted } = story.steps[story.now];
  replace(story, at, inserted.text.length, removed);
  story.steps[parent].next = story.now;
  story.now = parent;
  return { at, removed: inserted.text, inserted: removed.text };
}

function redo(story) {
  const { next } = story.steps[story.now];
  if (next < 0) return null;
  const { at, removed, inserted } = story.steps[next];
  replace(story, at, removed.text.length, inserted);
  story.now = next;
  return { at, removed: removed.text, inserted: inserted.text };
}

function lineage(story, step) {
  const line = [];
  for (let one = step; one >= 0; one = story.steps[one].parent) line.push(one);
  return line.reverse();
}

/** Go to any step. Redoing leads along the way to it from now on. */
function goTo(story, step) {
  const line = lineage(story, step);
  while (line[lineage(story, story.now).length - 1] !== story.now) undo(story);
  for (let i = line.indexOf(story.now); i < line.length - 1; i++) {
    story.steps[line[i]].next = line[i + 1];
    redo(story);
  }
}

/** The steps from which nothing leads on: the ends of all branches, the latest first. */
function tips(story) {
  const parents = new Set(story.steps.map((step) => step.parent));
  return story.steps.map((_, index) => index).filter((index) => !parents.has(index)).reverse();
}

/** The end of the branch on which the story is: where redoing leads. */
function wayOn(story) {
  let end = story.now;
  while (story.steps[end].next >= 0) end = story.steps[end].next;
  return end;
}

/** The other ways that were written from where the latest step began, itself among them. */
function versions(story) {
  const { parent, by } = story.steps[story.now];
  if (by !== "model") return [];
  return story.steps.flatMap((step, index) => (step.parent === parent && step.by === "model" ? [index] : []));
}

/** How long the text is at each step. */
function lengthsOf(steps) {
  const lengths = [];
  for (const step of steps) {
    lengths.push((lengths[step.parent] ?? 0) - step.removed.text.length + step.inserted.text.length);
  }
  return lengths;
}

/** The oldest fifth of the way becomes the beginning; branches that left it earlier go. */
function forgetOldest(story) {
  const line = lineage(story, story.now);
  const first = line[Math.min(line.length - 1, Math.max(1, Math.floor(line.length / 5)))];
  const at = { ...story, steps: story.steps.map((one) => ({ ...one })) };
  goTo(at, first);
  const places = new Map([[first, 0]]);
  const kept = [{ ...newStory({ text: at.text, marks: at.marks }).steps[0], next: story.steps[first].next }];
  story.steps.forEach((step, index) => {
    if (!places.has(step.parent) || index === first) return;
    places.set(index, kept.length);
    kept.push({ ...step, parent: places.get(step.parent) });
  });
  for (const step of kept) step.next = places.get(step.next) ?? -1;
  Object.assign(story, { steps: kept, now: places.get(story.now) });
}

/** What turns `before` into `after`, where the caret stands behind what was inserted. */
function difference(before, after, caret = after.length) {
  let tail = 0;
  const longestTail = Math.min(before.length, after.length, Math.max(0, after.length - caret));
  while (tail < longestTail && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  let head = 0;
  const longestHead = Math.min(before.length, after.length) - tail;
  while (head < longestHead && before.charCodeAt(head) === after.charCodeAt(head)) head++;
  const most = longestHead - head;
  let more = 0; // what else is the same behind the place, when the caret stood elsewhere
  while (more < most && before.at(-1 - tail - more) === after.at(-1 - tail - more)) more++;
  tail += more;
  const isHigh = (code) => code >= 0xd800 && code < 0xdc00;
  const isLow = (code) => code >= 0xdc00 && code < 0xe000;
  if (head && isHigh(before.charCodeAt(head - 1))) head--; // pairs stay whole
  if (tail && isLow(before.charCodeAt(before.length - tail))) tail--;
  return { at: head, removed: before.length - tail - head, inserted: after.slice(head, after.length - tail) };
}

/* What an alternative takes the place of: with characters all to the next white space, with words a word or a sign. */
const IDEOGRAPH = "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}";
const UNITS = {
  word: new RegExp(`\\s*(?:[${IDEOGRAPH}]|(?:(?![${IDEOGRAPH}])[\\p{L}\\p{M}\\p{N}])+|[^\\s])`, "uy"),
  character: new RegExp(`\\s*(?:[${IDEOGRAPH}]|(?:(?![${IDEOGRAPH}])\\S)+)`, "uy"),
};

/** [from, to] of the unit that holds `place`, with the white space before it, or null where none follows. */
function unitAt(text, place, level) {
  const pattern = UNITS[level === "word" ? "word" : "character"];
  let from = Math.min(place, text.length); // back to where a unit surely begins: white space, and what is before it
  while (from > 0 && !/\s/.test(text[from - 1])) from--;
  while (from > 0 && /\s/.test(text[from - 1])) from--;
  for (let to = from; ; from = to) {
    pattern.lastIndex = from;
    if (!pattern.test(text)) return null;
    to = pattern.lastIndex;
    if (to > place || to === text.length) return [from, to];
  }
}

/** The end of the text, at most `most` characters, from the beginning of a word. */
function lastOf(text, most) {
  if (text.length <= most) return text;
  const cut = text.slice(-most);
  const space = cut.search(/\s/);
  return space >= 0 && space < cut.length - 1 ? cut.slice(space + 1) : cut.replace(/^[\udc00-\udfff]/, "");
}

/* A session, as it is kept in the browser and in a file. */

const KIND = "textgen desk";

function sessionOf(story, model, settings) {
  const steps = story.steps.map(({ parent, next, at, removed, inserted, by }) => ({ parent, next, at, removed, inserted, by }));
  return { kind: KIND, version: 1, model, settings, now: story.now, steps };
}

/** The story of a session, checked and built step by step; an error where it is none. */
function storyOf(session) {
  const isWhole = (number, from, below) => Number.isInteger(number) && number >= from && number < below;
  const isPiece = (piece) =>
    typeof piece?.text === "string" && !piece.text.includes("\r") && Array.isArray(piece.marks) && piece.marks.length % 2 === 0 &&
    piece.marks.every((mark, i) => isWhole(mark, i ? piece.marks[i - 1] : 0, piece.text.length + 1));
  const isStep = (step, index) =>
    isWhole(step?.parent, index ? 0 : -1, index || 0) && isWhole(step.next, -1, session.steps.length) &&
    (step.next < 0 || session.steps[step.next]?.parent === index) && isPiece(step.removed) && isPiece(step.inserted) &&
    isWhole(step.at, 0, 2 ** 30) && ["own", "typing", "model"].includes(step.by);
  if (session?.kind !== KIND || session.version !== 1) throw new Error("it is no session of this page");
  const { steps, now } = session;
  if (!Array.isArray(steps) || !steps.length || steps.length > MAX_STEPS + 1 || !steps.every(isStep) ||
    !isWhole(now, 0, steps.length)) throw new Error("it is damaged");
  const story = newStory(steps[0].inserted);
  story.steps = steps.map((step) => ({ ...step, when: 0 }));
  const lengths = lengthsOf(steps);
  const fits = (step) => step.at + step.removed.text.length <= (lengths[step.parent] ?? 0);
  if (!steps.every(fits)) throw new Error("it is damaged");
  goTo(story, now);
  return story;
}
