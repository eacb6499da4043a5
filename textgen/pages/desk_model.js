
/* The desk, second part: what is asked of the server, and how it answers. */

/** The server-sent events that are whole in `buffer`, as their data, and what is left of it. */
function eventsIn(buffer) {
  const blocks = buffer.split(/\r?\n\r?\n/);
  const rest = blocks.pop();
  const events = blocks.flatMap((block) => {
    const lines = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
    return lines.length ? [lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n")] : [];
  });
  return [events, rest];
}

/** What a failed answer says, in a line. */
async function complaintOf(response) {
  const body = await response.text().catch(() => "");
  try {
    const { error } = JSON.parse(body);
    const said = error?.message ?? error;
    if (typeof said === "string" && said) return said;
  } catch { /* not JSON: the status is what there is */ }
  const wait = response.headers.get("Retry-After");
  if (response.status === 429) return `The server is busy. Try again${/^\d+$/.test(wait) ? ` in ${wait} s` : " later"}.`;
  return `The server refused: ${response.status} ${response.statusText}`.trim();
}

/** Ask for the key once, and keep it while the tab is open. False when none was given. */
function askForKey() {
  const dialog = at("key-dialog");
  at("key").value = "";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    const isGiven = dialog.returnValue === "use" && at("key").value !== "";
    if (isGiven) sessionStorage.setItem("textgen key", at("key").value);
    dialog.returnValue = "";
    done(isGiven);
  }, { once: true }));
}

/** What is wrong with a setting, in a line, or "". */
function wrongSetting(names) {
  for (const name of names) {
    const { validity, min, max, step, labels } = at(name);
    if (validity.valid) continue;
    const kind = step === "any" ? "a number" : "a whole number";
    const range = max ? `from ${min} to ${shownNumber(Number(max))}` : `from ${min} on`;
    return `${labels[0].textContent.split(",")[0]} must be ${kind} ${range}. Put it right in Settings.`;
  }
  return "";
}

/** An answer of the server; an Error with one line to show where it has none. */
async function ask(path, body, signal) {
  for (;;) {
    const key = sessionStorage.getItem("textgen key");
    const headers = { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    const how = body ? { method: "POST", body: JSON.stringify(body) } : {};
    let response;
    try {
      response = await fetch(path, { headers, signal, ...how });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The server does not answer. Is it still running?");
    }
    if (response.ok) return response;
    if (response.status !== 401 || !(await askForKey())) throw new Error(await complaintOf(response));
  }
}

const answerTo = async (path, body, signal) => (await ask(path, body, signal)).json();

/** The next part of an answer; an Error with one line to show where the server, or the way to it, is gone. */
async function partOf(reader) {
  const { done, value } = await reader.read().catch((error) => {
    if (error.name === "AbortError") throw error;
    return { done: true };
  });
  if (done) throw new Error("The server broke off.");
  return value;
}

/** Read what the model writes, piece by piece. It returns why the model stopped. */
async function stream(body, signal, write) {
  const response = await ask("/v1/completions", { ...body, stream: true }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  let reason = null;
  for (;;) {
    const [events, rest] = eventsIn(buffer + await partOf(reader));
    buffer = rest;
    for (const event of events) {
      if (event === "[DONE]") return reason;
      const { error, choices } = JSON.parse(event);
      if (error) throw new Error(error.message ?? String(error));
      if (choices?.[0]?.text) write(choices[0].text);
      reason = choices?.[0]?.finish_reason ?? reason;
    }
  }
}
