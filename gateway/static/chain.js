// Checks the hash chain of one order in the browser: each hash is the SHA-256 of the hash before and
// the exact bytes of the event, and equals the one that the feed delivered.

import { count } from "./numbers.js";

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const bytesOf = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));

/** The result as text; `sound` is true, false, or null where it cannot be checked here. */
export async function check(proof, frames) {
  // Browsers hash on https and on localhost only.
  if (!globalThis.crypto?.subtle) return { sound: null, text: "This page cannot check it: download the proof under Audit and run engine audit check-proof." };
  let previous = new Uint8Array(32);
  for (const event of proof.events) {
    const shown = frames.find((frame) => frame.position === event.position);
    if (shown && shown.hash !== event.hash) return broken(event, "the feed showed another hash");
    // A signed transaction never leaves the engine: the hash of its bytes is hashed instead.
    const hashed = event.body === null ? bytesOf(event.bodyHash) : Uint8Array.from(atob(event.body), (letter) => letter.charCodeAt(0));
    previous = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array([...previous, ...hashed])));
    if (hex(previous) !== event.hash) return broken(event, "its bytes have another hash");
  }
  return { sound: true, text: `Holds: ${count(proof.events.length)} events, ends in ${hex(previous).slice(0, 16)}…` };
}

const broken = (event, why) => ({ sound: false, text: `Broken at position ${count(event.position)}: ${why}` });
