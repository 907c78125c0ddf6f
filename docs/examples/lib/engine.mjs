// Where the engine is, and how to speak to it so that proxies and restarts end nothing.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import process from "node:process";

const PAUSE_MS = 500;
const ATTEMPTS = 60;
const SILENCE_MS = 10_000; // an idle stream has a heartbeat every 5 s
const FINAL = [413, 414, 431]; // with these a proxy refuses the size of the request

// URL of the command line, else as DATA_DIR or PORT say, like the commands of the engine.
function recorded() {
  try {
    const file = `${process.env.DATA_DIR || ".data"}/backends.json`;
    return JSON.parse(readFileSync(file, "utf8")).gateway_url;
  } catch {
    return ""; // none runs in this folder
  }
}

const given = process.argv[2] || recorded() || `http://127.0.0.1:${process.env.PORT || 3000}`;
export const url = given.replace(/\/+$/, "");
export const auth = process.env.API_KEY ? { authorization: `Bearer ${process.env.API_KEY}` } : {};

let reached = false; // whether a gateway has answered at this URL

// One request, until an answer speaks about it: pages of proxies and broken connections do not.
// The answer is JSON, an open stream, or null where a stream has ended already.
async function ask(path, options) {
  for (let attempt = 1; ; attempt += 1) {
    const silence = new AbortController();
    const alive = () => timer.refresh();
    const timer = setTimeout(() => silence.abort(), SILENCE_MS);
    let wait = PAUSE_MS;
    try {
      const answer = await fetch(url + path, { ...options, redirect: "manual", signal: silence.signal });
      const media = answer.headers.get("content-type") || "";
      const streams = answer.ok && media.startsWith("text/event-stream");
      const body = streams || !media.includes("json") ? null : await answer.json();
      if (answer.status === 204 || streams || (answer.ok && body)) {
        reached = true;
        if (!streams) clearTimeout(timer);
        return streams ? { body: answer.body, alive, end: () => clearTimeout(timer) } : body;
      }
      refuse(answer, media.includes("problem+json") ? body : null);
      if (attempt >= ATTEMPTS) throw new Refused(`HTTP ${answer.status} from ${url}`);
      const after = answer.headers.get("retry-after") || "";
      const told = /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - Date.now();
      wait = Math.max(PAUSE_MS, Math.min(told || 0, 30_000));
    } catch (error) {
      clearTimeout(timer);
      if (error instanceof Refused || attempt >= ATTEMPTS) throw error;
      if (!reached && /REFUSED|NOTFOUND|CERT|SSL/.test(error.cause?.code)) throw error;
    }
    clearTimeout(timer);
    silence.abort();
    await new Promise((done) => setTimeout(done, wait));
  }
}

class Refused extends Error {}

// Throws where another attempt cannot have another answer.
function refuse(answer, problem) {
  const { status } = answer;
  if (problem && status < 500 && status !== 429) throw new Refused(`${problem.code}: ${problem.detail}`);
  if (FINAL.includes(status)) throw new Refused(`HTTP ${status}: a proxy refuses the size of the request`);
  const elsewhere = answer.headers.get("location");
  if (elsewhere) throw new Refused(`HTTP ${status}: it redirects to ${elsewhere}`);
}

// Submits an order once. The same key gives the same order, however often the request is sent.
export async function submit(order, key = randomUUID()) {
  return ask("/api/orders/execute", {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": key, ...auth },
    body: JSON.stringify(order),
  });
}

// The events of a stream behind a cursor, until it has ended. It resumes after every break.
export async function* events(path, cursor = "0") {
  for (;;) {
    const headers = { accept: "text/event-stream", "last-event-id": cursor, ...auth };
    const stream = await ask(path, { headers });
    if (stream === null) return; // it was read to its end before
    try {
      for await (const { name, id, data } of blocks(stream)) {
        if (name === "close" && data.code === 1000) return;
        if (data && !name) yield data;
        if (id) cursor = id;
      }
    } catch (error) {
      if (!(error instanceof TypeError) && error.name !== "AbortError") throw error; // it broke
    } finally {
      stream.end();
    }
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}

async function* blocks({ body, alive }) {
  let rest = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    alive();
    const whole = (rest + chunk).split("\n\n");
    rest = whole.pop();
    for (const block of whole) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      yield { name: fields.event, id: fields.id, data: fields.data && JSON.parse(fields.data) };
    }
  }
}

// Runs an example, and ends with one line where it fails.
export async function run(main) {
  try {
    await main();
  } catch (error) {
    const reason = error.cause?.code || error.cause?.message;
    const why = reason ? `no engine answers at ${url} (${reason})` : error.message;
    console.error(why);
    process.exitCode = 1;
  }
}
