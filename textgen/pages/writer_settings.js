
/* The settings of the page's form, in the ranges of `SamplingConfig`. */

/** The number that a setting's field holds, a BigInt for the seed. Throws what is to be said of it. */
function settingOf(name) {
  const { isWhole, least, above, most } = data.limits[name];
  const text = at(name).value.trim().replace(",", ".");
  const isNumber = isWhole ? /^\d{1,20}$/.test(text) : /^-?(\d*\.?\d+(e-?\d+)?|\d+\.)$/.test(text);
  const value = !isNumber ? NaN : name === "seed" ? BigInt(text) : Number(text);
  const highest = name === "seed" ? BigInt(most) : most;
  const isIn = isNumber && (least === null || value >= least) && (above === null || value > above) && value <= highest;
  at(name).setAttribute("aria-invalid", String(!isIn));
  if (isIn) return value;
  const range = above === null ? `from ${least} to ${most}` : `above ${above}, up to ${most}`;
  at("more").open ||= at("more").contains(at(name));
  at(name).focus();
  throw new RangeError(`${at(name).labels[0].textContent} must be a ${isWhole ? "whole " : ""}number ${range}.`);
}

/** All settings, or null where one of them cannot be; that is said. */
function settings() {
  try {
    return Object.fromEntries(Object.keys(data.limits).map((name) => [name, settingOf(name)]));
  } catch (problem) {
    if (!(problem instanceof RangeError)) throw problem;
    say(problem.message);
    return null;
  }
}
