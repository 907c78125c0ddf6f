// The feed as Server-Sent Events, without gaps: after a disconnect or a refusal the next connection
// resumes after the last id. It uses fetch, not EventSource: heartbeats are comments, which
// EventSource hides, and EventSource gives up for good after a refusal.

import { url } from "./base.js";
import * as key from "./key.js";

const FIRST_MS = 300;
const LONGEST_MS = 5000;
const RETRY_AFTER_MS = 30000;
export const SILENT_MS = 20000;

export class Feed {
  /** `handlers`: block({name, id, data}), alive(), state("connecting" | "live" | "down"). */
  constructor(handlers) {
    this.handlers = handlers;
    this.cursor = "";
    this.delay = FIRST_MS;
    this.state = "";
    this.stopped = false;
  }

  /** Starts after a cursor or a position. */
  async run(after) {
    this.cursor = String(after);
    while (!this.stopped) {
      this.setState(this.state === "" ? "connecting" : this.state);
      this.wait = 0;
      try {
        await this.connect();
      } catch {
        // every error is retried
      }
      if (this.stopped) return;
      this.setState("down");
      if (!this.hurried) await this.pause(Math.max(this.wait, this.delay * (0.75 + Math.random() / 2)));
      this.hurried = false;
      this.delay = Math.min(this.delay * 2, LONGEST_MS);
    }
  }

  pause(ms) {
    return new Promise((done) => {
      this.goOn = done;
      setTimeout(done, ms);
    });
  }

  /** Connects again at once: the connection may be dead, or the way to the gateway be back. */
  hurry() {
    this.delay = FIRST_MS;
    this.hurried = this.state === "live";
    this.control?.abort();
    this.goOn?.();
  }

  stop() {
    this.stopped = true;
    this.control?.abort();
  }

  setState(state) {
    if (this.state !== state && !this.stopped) this.handlers.state((this.state = state));
  }

  async connect() {
    const control = (this.control = new AbortController());
    let watchdog;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => control.abort(), SILENT_MS);
      this.handlers.alive();
    };
    alive();
    const used = key.current();
    try {
      const answer = await fetch(url("/api/events"), {
        headers: { accept: "text/event-stream", "last-event-id": this.cursor, ...key.headers() },
        cache: "no-store", signal: control.signal,
      });
      if (!answer.ok) {
        clearTimeout(watchdog);
        await this.refused(answer, used);
      }
      this.delay = FIRST_MS;
      this.setState("live");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ;) {
        const { value, done } = await reader.read();
        if (done) return;
        alive();
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        blocks.forEach((block) => this.take(block));
      }
    } finally {
      clearTimeout(watchdog);
      control.abort();
    }
  }

  /** Asks for a key where that is what is missing; waits as long as the answer says. */
  async refused(answer, used) {
    const { code, detail } = await answer.json().catch(() => ({}));
    if (answer.status === 401) await key.rejected(used);
    else if (code === "scope-missing") await key.lacking(used, detail);
    // A date, as proxies send it, and a number of seconds are both allowed.
    const after = answer.headers.get("retry-after");
    const ms = after ? (/^\d+$/.test(after) ? after * 1000 : Date.parse(after) - Date.now()) : 0;
    this.wait = Math.min(Math.max(ms || 0, 0), RETRY_AFTER_MS);
    throw new Error(`HTTP ${answer.status}`);
  }

  take(text) {
    const block = { name: "", id: "", data: "" };
    for (const line of text.split("\n")) {
      if (line.startsWith("event: ")) block.name = line.slice(7);
      else if (line.startsWith("id: ")) block.id = line.slice(4);
      else if (line.startsWith("data: ")) block.data = line.slice(6);
    }
    this.handlers.block(block);
    if (block.id) this.cursor = block.id; // after it was handled: a failed event is delivered again
  }
}
