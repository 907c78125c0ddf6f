// What the user may do to orders and to the engine, each behind a question where it matters.

import * as api from "./api.js";
import { confirmed } from "./dialog.js";
import { toast } from "./notify.js";
import { count } from "./numbers.js";
import { may } from "./session.js";

const AT_ONCE = 8;
const TRIES = 5;
export const CANCELLABLE = new Set(["pending", "watching", "routing", "building"]);

/** A refusal as a sentence. */
export const refusal = (error) => (error.code === "too-late" ? "Too late: the transaction was sent before." : `${error.message}`);

export const cancelling = new Set(); // ids that the gateway was asked to cancel, until it answers
const listeners = new Set();
export const onCancelling = (listener) => listeners.add(listener);

/** Cancels one order. Meanwhile no list offers it again. */
export async function cancel(orderId) {
  cancelling.add(orderId);
  listeners.forEach((listener) => listener());
  try {
    return await api.cancel(orderId);
  } finally {
    cancelling.delete(orderId);
    listeners.forEach((listener) => listener());
  }
}

/** The same; the result is shown. */
export async function cancelOne(orderId) {
  try {
    await cancel(orderId);
    toast("The order is cancelled", "", orderId);
  } catch (error) {
    toast(refusal(error), "bad", orderId);
  }
}

/** The same after a question, for a key that is pressed by accident. */
export async function cancelAsked(orderId) {
  const reason = await confirmed({ title: "Cancel this order?", text: orderId, action: "Cancel the order", danger: true, reason: "optional" });
  if (reason !== null) await cancelOne(orderId);
}

/** Repeats what may be repeated while the gateway is out of reach or overloaded. */
async function patiently(act) {
  for (let failures = 1; ; failures += 1) {
    try {
      return await act();
    } catch (error) {
      if (failures === TRIES || (error.status && error.status < 500 && error.status !== 429)) throw error;
      await new Promise((done) => setTimeout(done, 500 * failures));
    }
  }
}

const nothing = () => ({ cancelled: 0, refused: 0, unknown: 0 });

/** Cancels each, several at once; how many were cancelled, could not be, and of how many that is not known. */
async function cancelEach(orderIds, reason) {
  const waiting = [...orderIds];
  const done = nothing();
  const failed = (error) => (done[error.status && error.status < 500 ? "refused" : "unknown"] += 1);
  const work = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const id = next;
      await patiently(() => api.cancel(id, reason || undefined)).then(() => (done.cancelled += 1), failed);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return done;
}

export async function cancelMany(orderIds) {
  const reason = await confirmed({ title: `Cancel ${count(orderIds.length)} orders?`, text: "Orders whose transaction was sent are not affected.", action: `Cancel ${count(orderIds.length)} orders`, danger: true, reason: "optional" });
  if (reason === null) return false;
  told(await cancelEach(orderIds, reason));
  return true;
}

export async function cancelAll() {
  const whose = may("admin") ? "Every open order of all accounts" : "Every open order of this account";
  const reason = await confirmed({ title: "Cancel all open orders?", text: `${whose} whose transaction was not sent, also those that are not in the list.`, action: "Cancel all open orders", danger: true, reason: "required" });
  if (reason === null) return;
  const done = nothing();
  const again = []; // those that the log did not answer about
  try {
    for (let cursor = ""; cursor !== null;) {
      const from = cursor;
      const { results, nextCursor } = await patiently(() => api.cancelAll(reason, from));
      for (const { orderId, status, problem } of results) {
        if (problem?.status >= 500) again.push(orderId);
        else done[status === "cancelled" ? "cancelled" : "refused"] += 1;
      }
      cursor = nextCursor;
    }
    const rest = await cancelEach(again, reason);
    told({ cancelled: done.cancelled + rest.cancelled, refused: done.refused + rest.refused, unknown: rest.unknown });
  } catch (error) {
    toast(`${count(done.cancelled)} orders are cancelled, then: ${error.message}`, "bad");
  }
}

function told({ cancelled, refused, unknown }) {
  const rest = [refused && `${count(refused)} could not be`, unknown && `the outcome of ${count(unknown)} is unknown: look at the list`].filter(Boolean);
  toast([`${count(cancelled)} orders are cancelled`, ...rest].join(", "), rest.length ? "warn" : "");
}

export async function halt() {
  const reason = await confirmed({ title: "Halt the engine?", text: "Nothing is sent and no trigger fires until it is resumed. Orders are accepted and wait. Transactions that were sent are followed.", action: "Halt", danger: true, reason: "required" });
  if (reason !== null) await api.halt(reason).then(() => toast("The engine is halted", "warn"), (error) => toast(error.message, "bad"));
}

export async function resume() {
  const reason = await confirmed({ title: "Resume the engine?", text: "Orders that wait are executed, and triggers fire.", action: "Resume", reason: "optional" });
  if (reason !== null) await api.resume(reason).then(() => toast("The engine runs"), (error) => toast(error.message, "bad"));
}

/** What ends a parked order: one row for each act. */
export const PARKED_ACTS = {
  requeue: { label: "Replay", title: "Replay this order?", text: "It returns to its stage and is tried again.", done: "The order is back at work" },
  settle: { label: "Settle", title: "Settle this order?", text: "The chain's record of its transaction decides its outcome.", done: "The order is settled" },
  discard: { label: "Discard", title: "Discard this order?", text: "It fails for good. This is refused while a transaction of it may still land.", done: "The order is discarded", danger: true },
};

export async function unpark(orderId, name) {
  const act = PARKED_ACTS[name];
  const reason = await confirmed({ title: act.title, text: act.text, action: act.label, danger: act.danger, reason: act.danger ? "required" : "optional" });
  if (reason !== null) await api.unpark(orderId, name, reason).then(() => toast(act.done, "", orderId), (error) => toast(error.message, "bad", orderId));
}
