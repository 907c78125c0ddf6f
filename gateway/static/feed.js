// The feed as Server-Sent Events, without gaps: after a disconnect the next connection resumes after
// the last id. It uses fetch, not EventSource: heartbeats are comments, which EventSource hides, and
// without them a dead connection is not noticed.

import * as key from "./key.js";

const FIRST_MS = 300;
const LONGEST_MS = 5000;
const SILENT_MS = 20000;

export class Feed {
  /** `handlers`: event(frame), notice(frame), state("connecting" | "live" | "down"). */
  constructor(handlers) {
    this.handlers = handlers;
    this.cursor = "";
    this.delay = FIRST_MS;
    this.state = "";
  }

  /** Starts after a cursor or a position. */
  async run(after) {
    this.cursor = String(after);
    for (;;) {
      this.setState(this.state === "" ? "connecting" : this.state);
      try {
        await this.connect();
      } catch {
        // every error is retried
      }
      this.setState("down");
      await new Promise((done) => setTimeout(done, this.delay * (0.75 + Math.random() / 2)));
      this.delay = Math.min(this.delay * 2, LONGEST_MS);
    }
  }

  setState(state) {
    if (this.state !== state) this.handlers.state((this.state = state));
  }

  async connect() {
    const control = new AbortController();
    let watchdog;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => control.abort(), SILENT_MS);
    };
    alive();
    const used = key.current();
    try {
      const answer = await fetch("/api/events", {
        headers: { accept: "text/event-stream", "last-event-id": this.cursor, ...key.headers() },
        cache: "no-store", signal: control.signal,
      });
      if (answer.status === 401 || answer.status === 403) {
        clearTimeout(watchdog);
        const { code, detail } = await answer.json().catch(() => ({}));
        if (answer.status === 401 || code === "scope-missing") await key.ask(used, code === "scope-missing" ? detail : "");
      }
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
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

  take(block) {
    let name = "", id = "", data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("id: ")) id = line.slice(4);
      else if (line.startsWith("data: ")) data = line.slice(6);
    }
    if (data && name === "") this.handlers.event(JSON.parse(data));
    else if (data && name === "notice") this.handlers.notice(JSON.parse(data));
    if (id) this.cursor = id; // after it was handled: a failed event is delivered again
  }
}
