// The public HTTP API. A refusal is a Problem with the stable `code` of the server.

import { url } from "./base.js";
import * as key from "./key.js";

const READ_MS = 15000;

export class Problem extends Error {
  constructor(status, document) {
    super(document.detail || document.title || `HTTP ${status}`);
    this.status = status;
    this.code = document.code ?? "";
    this.errors = document.errors ?? [];
    this.document = document;
  }
}

async function ask(path, options = {}) {
  const used = key.current();
  let answer;
  try {
    // A command is not cut short: its outcome would be unknown.
    const limit = options.method ? [] : [AbortSignal.timeout(READ_MS)];
    const signal = AbortSignal.any([options.signal, ...limit].filter(Boolean));
    answer = await fetch(url(path), { ...options, signal, headers: { accept: "application/json", ...key.headers(), ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "unreachable", detail: "The gateway does not answer" });
  }
  if (answer.status === 401) {
    await key.rejected(used);
    return ask(path, options);
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok && !body) throw new Problem(0, { code: "unreachable", detail: "The answer was cut short: it may have been done" });
  // /readyz answers 503 with its own document, not with a Problem.
  if (!answer.ok && !body?.reasons) throw new Problem(answer.status, body ?? {});
  return body;
}

const id = encodeURIComponent;
const send = (method, path, body, headers = {}) => ask(path, { method, body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } });

export const session = () => ask("/api/session");
export const tokens = () => ask("/api/tokens");
export const ready = () => ask("/readyz");
export const order = (orderId) => ask(`/api/orders/${id(orderId)}`);
export const history = (orderId) => ask(`/api/orders/${id(orderId)}/events`);
export const cancel = (orderId, reason = "console") => ask(`/api/orders/${id(orderId)}?${new URLSearchParams({ reason })}`, { method: "DELETE" });
/** One page of open orders; `nextCursor` of the answer continues. */
export const cancelAll = (reason, cursor) => ask(`/api/orders?${new URLSearchParams({ all: true, reason, ...(cursor && { cursor }) })}`, { method: "DELETE" });
export const amend = (orderId, terms) => send("PATCH", `/api/orders/${id(orderId)}`, terms);
export const halt = (reason) => send("POST", "/api/admin/halt", { reason });
export const resume = (reason) => send("POST", "/api/admin/resume", reason ? { reason } : {});
/** `act`: settle, requeue or discard. */
export const unpark = (orderId, act, reason) => send("POST", `/api/admin/parked/${id(orderId)}/${act}`, reason ? { reason } : {});
export const quotes = (query, signal) => ask(`/api/quotes?${new URLSearchParams(query)}`, { signal });
export const prices = (pair) => ask(`/api/prices/history?${new URLSearchParams(pair)}`);

export const stateAt = (at) => ask(`/api/audit/state?at=${id(at)}`);
export const orderAt = (orderId, at) => ask(`/api/audit/orders/${id(orderId)}?at=${id(at)}`);
export const proof = (orderId) => ask(`/api/audit/orders/${id(orderId)}/proof`);

/** `onEvent` is called with the name and data of each event of the stream. */
export async function verify(signal, onEvent) {
  const answer = await fetch(url("/api/audit/verify"), { headers: { accept: "text/event-stream", ...key.headers() }, signal });
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const [name, data] = block.split("\n");
      onEvent(name.slice(7), JSON.parse(data.slice(6)));
    }
  }
}

/** A page of the list, the newest first. `filters`: status, token, clientOrderId, from, to. */
export const orders = (limit, cursor, filters = {}) => ask(`/api/orders?${new URLSearchParams({ limit, ...filters, ...(cursor && { cursor }) })}`);

/** A retry with the same key returns the same order. */
export const submit = (body, key) => send("POST", "/api/orders/execute", body, { "idempotency-key": key });
