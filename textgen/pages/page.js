"use strict";

/** What the page holds, or null. */
const data = JSON.parse(document.getElementById("data")?.textContent ?? "null");

/** The numbers of `packed`: base64 of little-endian bytes, as an array of the class `Kind` (such as Uint16Array). */
function unpack(text, Kind) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return new Kind(bytes.buffer);
}

/** The value of a CSS variable, such as "--accent", in the colours of now. */
function cssVariable(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** [red, green, blue] of "#rgb" or "#rrggbb". */
function rgbOf(colour) {
  const hex = colour.slice(1);
  const digits = hex.length === 3 ? [...hex].map((digit) => digit + digit) : hex.match(/../g);
  return digits.map((pair) => parseInt(pair, 16));
}

/** A function from 0..1 to [red, green, blue], straight lines between the colours of CSS variables. */
function scaleOf(...names) {
  const stops = names.map((name) => rgbOf(cssVariable(name)));
  return (share) => {
    const place = Math.min(1, Math.max(0, share)) * (stops.length - 1);
    const index = Math.min(stops.length - 2, Math.floor(place));
    return stops[index].map((from, i) => Math.round(from + (place - index) * (stops[index + 1][i] - from)));
  };
}

/** From 0 (the paper) to 1: for what lies behind text. */
const sequential = () => scaleOf("--scale-0", "--scale-1", "--scale-2", "--scale-3", "--scale-4");
/** From 0 (blue) over 0.5 (the paper) to 1 (orange): for pictures. */
const diverging = () => scaleOf("--low", "--middle", "--high");
const rgb = (parts) => `rgb(${parts.join(", ")})`;

/** Call `draw` now, and whenever light becomes dark or dark light. */
function inEveryScheme(draw) {
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

/** A new element; `parts` are texts and elements. Texts never become markup. */
function make(tag, attributes = {}, ...parts) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...parts);
  return element;
}

/** The element with this id. */
const at = (id) => document.getElementById(id);

/** A number with a given number of digits behind the point, and commas between thousands. */
function shownNumber(number, digits = 0) {
  return number.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A probability: in per cent, or as one chance in so many where it is small. */
function shownShare(share) {
  const percent = 100 * share;
  if (percent === 0) return "0%";
  if (percent < 0.01) return `1 in ${shownNumber(Number((1 / share).toPrecision(2)))}`;
  return `${percent.toFixed(percent >= 99.95 ? 0 : percent >= 10 ? 1 : 2)}%`;
}
