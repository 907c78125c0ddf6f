// One stream for all tabs with the same key. The tab that holds a lock reads the feed and passes it
// on; when it closes, the next tab takes over after the last id that it has seen. Where the browser
// has no locks (plain http on another host), each tab reads a stream of its own.

import { own } from "./base.js";
import { Feed, SILENT_MS } from "./feed.js";
import * as key from "./key.js";

const KEPT = 3000; // blocks that a new tab can be given
const ASK_MS = 1000;

export class SharedFeed {
  /** `handlers`: event(frame), notice(frame), alive(), state("connecting" | "live" | "down"). */
  constructor(handlers) {
    this.handlers = handlers;
    this.leads = false;
    this.joined = false;
    this.blocks = []; // of the leader: [position, block]
    this.from = 0; // the position after which the leader has every block
    this.heard = performance.now();
    this.id = crypto.getRandomValues(new Uint32Array(2)).join("-");
  }

  async run(after) {
    this.cursor = String(after);
    this.position = Number(after);
    this.key = key.current();
    if (!globalThis.BroadcastChannel || !navigator.locks || !crypto.subtle) return this.read();
    const name = own(`oee-feed-${await digest(key.current())}`);
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = ({ data }) => this.told(data);
    this.handlers.state("connecting");
    this.lead(name, {});
    this.timer = setInterval(() => this.look(name), ASK_MS);
    this.look(name);
  }

  /** Waits for the lock; with `steal`, takes it from a tab that has stopped. */
  async lead(name, options) {
    try {
      await navigator.locks.request(name, options, () => {
        this.feed?.stop();
        [this.leads, this.blocks, this.from] = [true, [], this.position];
        return Promise.race([this.read(), new Promise((gone) => (this.yield = gone))]);
      });
    } catch {
      // Another tab took the lock, because it heard nothing from this one.
      this.leads = this.joined = false;
      this.feed?.stop();
      this.heard = performance.now();
      this.lead(name, {});
    }
  }

  read() {
    this.feed = new Feed({
      block: (block) => this.pass(block),
      alive: () => {
        this.say({ alive: true });
        this.handlers.alive();
      },
      state: (state) => {
        this.state = state;
        this.say({ state });
        this.handlers.state(state);
      },
    });
    return this.feed.run(this.cursor);
  }

  /** Reads a stream of its own up to a position, because the leader has less of the past. */
  catchUp(position) {
    if (this.feed && !this.feed.stopped) return;
    this.feed = new Feed({
      block: (block) => {
        this.handle(block);
        if (this.position >= position) this.feed.stop();
      },
      alive: () => (this.heard = performance.now()),
      state: (state) => this.handlers.state(state),
    });
    this.feed.run(this.cursor);
  }

  /** Reads everything again where the key was replaced: tabs share events of one key only. */
  replaced() {
    if (key.current() === this.key) return false;
    this.feed?.stop();
    location.reload();
    return true;
  }

  /** Looks at once whether the gateway can be reached. */
  hurry() {
    if (this.feed && !this.feed.stopped) this.feed.hurry();
  }

  pass(block) {
    if (this.replaced()) return;
    if (!block.data && !block.id) return;
    const position = block.data && block.name === "" ? JSON.parse(block.data).position : 0;
    this.handle(block);
    if (block.name === "notice") this.blocks = [];
    this.blocks.push([position, block]);
    if (this.blocks.length > KEPT) this.from = Math.max(this.from, ...this.blocks.splice(0, KEPT / 10).map(([at]) => at));
    this.say({ block });
  }

  handle({ name, data, id }) {
    if (data && name === "") {
      const frame = JSON.parse(data);
      this.position = frame.position;
      this.handlers.event(frame);
    } else if (data && name === "notice") this.handlers.notice(JSON.parse(data));
    if (id) this.cursor = id;
  }

  say(message) {
    this.channel?.postMessage({ ...message, from: this.id });
  }

  /** Asks to be let in, and notices that the leader has stopped. */
  look(name) {
    if (this.leads) return;
    if (!this.joined && (!this.feed || this.feed.stopped)) this.say({ join: this.position });
    if (performance.now() - this.heard < SILENT_MS) return;
    this.heard = performance.now();
    this.lead(name, { steal: true });
  }

  told(message) {
    if (this.replaced()) return;
    if (message.join !== undefined && this.leads) {
      if (message.join < this.from) return this.say({ to: message.from, since: this.from });
      const missing = this.blocks.filter(([position]) => position > message.join).map(([, block]) => block);
      return this.say({ to: message.from, blocks: missing, state: this.state, cursor: this.feed.cursor });
    }
    if (this.leads || message.join !== undefined || (message.to && message.to !== this.id)) return;
    this.heard = performance.now();
    if (message.since !== undefined) return this.catchUp(message.since);
    if (message.to && !this.joined) {
      this.joined = true;
      message.blocks.forEach((block) => this.handle(block));
      this.cursor = message.cursor || this.cursor;
    }
    if (!this.joined) return;
    if (message.block) this.handle(message.block);
    if (message.state) this.handlers.state(message.state);
    this.handlers.alive();
  }
}

async function digest(text) {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(bytes.slice(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
