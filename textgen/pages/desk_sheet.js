
/* The desk, third part: the sheet. A text area takes the keys, with all that a browser knows of writing: input methods,
   spelling, dictation. Its own letters are transparent. Behind it the same text stands in colours, a block for each
   line, and only the blocks that change are drawn anew. */

const sheet = at("sheet");
const picture = at("picture");
const MAX_LEVEL = 8;
const BITS_A_LEVEL = 1.5;
const levelOf = (bits) => Math.min(MAX_LEVEL, Math.floor(bits / BITS_A_LEVEL));

let story = newStory();
let surprisals = null; // { ends: where each piece ends, bits } of the beginning of the text, while they are shown

const countLines = (text) => text.split("\n").length - 1;
const lineStart = (place) => (place > 0 ? story.text.lastIndexOf("\n", place - 1) + 1 : 0);

/** The first piece that ends behind `place`. */
function pieceAt(ends, place) {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] > place) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The block of the line from `from` to `to`. */
function drawnLine(from, to) {
  const line = make("div");
  let index = story.marks.findLastIndex((mark) => mark <= from);
  for (let place = from; place < to; ) {
    const isModel = index >= 0 && index % 2 === 0;
    let end = Math.min(to, story.marks[index + 1] ?? to);
    let level = 0;
    if (surprisals && place < (surprisals.ends.at(-1) ?? 0)) {
      let piece = pieceAt(surprisals.ends, place);
      level = levelOf(surprisals.bits[piece]);
      while (surprisals.ends[piece] < end && levelOf(surprisals.bits[piece + 1]) === level) piece++;
      end = Math.min(end, surprisals.ends[piece]);
    }
    const text = story.text.slice(place, end);
    const kind = [isModel ? "by-model" : "", level ? `bits-${level}` : ""].filter(Boolean).join(" ");
    line.append(kind ? make("span", { class: kind }, text) : text);
    if (end === story.marks[index + 1]) index++;
    place = end;
  }
  if (from === to) line.append("\u200b"); // as high as a line
  return line;
}

function drawLines(from, count) {
  const lines = document.createDocumentFragment();
  for (let start = from; count > 0; count--) {
    const end = story.text.indexOf("\n", start);
    lines.append(drawnLine(start, end < 0 ? story.text.length : end));
    start = end + 1;
  }
  return lines;
}

const drawAll = () => picture.replaceChildren(drawLines(0, countLines(story.text) + 1));

/** Draw what a change of the story touched. What was read after another text is no longer known to surprise. */
function draw({ at: place, removed, inserted }) {
  if (surprisals) {
    surprisals.ends.length = surprisals.bits.length = pieceAt(surprisals.ends, place);
    if (place + inserted.length < story.text.length) return drawAll();
  }
  const first = countLines(story.text.slice(0, place));
  const lines = drawLines(lineStart(place), countLines(inserted) + 1);
  for (let old = countLines(removed); old > 0; old--) picture.children[first].remove();
  picture.children[first].replaceWith(lines);
}

/** Show the text in the text area, with the caret at `caret`, or where it was in what stayed. */
function put(change, caret = null) {
  if (sheet.value === story.text && caret === null) return;
  const moved = (place) =>
    place < change.at + change.removed.length || !change.inserted ? Math.min(place, story.text.length)
      : place + change.inserted.length - change.removed.length;
  const [from, to] = caret === null ? [moved(sheet.selectionStart), moved(sheet.selectionEnd)] : [caret, caret];
  if (sheet.value !== story.text) sheet.value = story.text;
  sheet.setSelectionRange(from, to);
}

/** The text from `from` to `to`, as it is drawn. */
function rangeOf(from, to) {
  const range = document.createRange();
  const edge = (place) => {
    const number = countLines(story.text.slice(0, place));
    let left = place - lineStart(place);
    const texts = document.createTreeWalker(picture.children[number], NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      if (left <= texts.currentNode.length) return [texts.currentNode, left];
      left -= texts.currentNode.length;
    }
    return [picture.children[number], 0];
  };
  range.setStart(...edge(from));
  range.setEnd(...edge(to));
  return range;
}

/** Where it stands in the window: the rectangle of its last line. */
function rectangleOf(from, to) {
  const rectangles = rangeOf(from, to).getClientRects();
  const line = picture.children[countLines(story.text.slice(0, to))];
  return rectangles[rectangles.length - 1] ?? line.getBoundingClientRect();
}
