"use strict";

/* What Node runs to check a page of `textgen export`: { page, requests } comes in, and the texts that the page's own
   worker writes go out. */

const { readFileSync } = require("node:fs");
const { runInThisContext } = require("node:vm");

async function answer() {
  const { page, requests } = JSON.parse(readFileSync(0, "utf8"));
  const data = JSON.parse(/<script type="application\/json" id="data">([^<]*)<\/script>/.exec(page)[1]);
  const openWriter = runInThisContext(`${data.worker}\nopenWriter;`);
  const writer = await openWriter(Buffer.from(data.model, "base64"), Buffer.from(data.weights, "base64"));
  const answers = [];
  for (const { prompt, ...settings } of requests) {
    const texts = { text: [], completion: [] };
    for (const one of prompt) {
      const { ids, text } = writer.tokenizer.read(one);
      let completion = "";
      const take = (id) => (completion += writer.tokenizer.pieces[id]);
      await writer.write(ids, { ...settings, seed: BigInt(settings.seed) }, take);
      texts.text.push(text + completion);
      texts.completion.push(completion);
    }
    answers.push(texts);
  }
  return answers;
}

answer().then((answers) => process.stdout.write(JSON.stringify(answers)));
