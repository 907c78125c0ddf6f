// Who uses the console: account and scopes of the API key, and how to sign out.

import * as api from "./api.js";
import { $, el } from "./dom.js";
import * as key from "./key.js";

let known = null;
const listeners = new Set();

export const onSession = (listener) => listeners.add(listener);

/** Whether a scope is known to be there: what it allows is offered. */
export const may = (scope) => Boolean(known) && (known.scopes.includes(scope) || known.scopes.includes("admin"));

/** Whether a scope is known to be missing. */
export const denied = (scope) => Boolean(known) && !may(scope);

/** Asks whether the key is valid still: a tab that shares the stream of another asks nothing else. */
export const check = () => api.session().catch(() => {});

/** Reads the session again and again until the gateway answers. */
export async function load() {
  for (;;) {
    const used = key.current();
    try {
      known = await api.session();
      break;
    } catch (error) {
      if (error.code === "scope-missing") await key.lacking(used, error.message);
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
  $("account").textContent = known.account;
  const line = (name, value) => [el("dt", {}, name), el("dd", {}, value)];
  const lines = [line("Account", known.account), line("Scopes", known.scopes.join(", ")), line("API key", known.keyId ?? "none needed")];
  $("session-facts").replaceChildren(...lines.flat());
  $("sign-out").hidden = !key.current();
  $("sign-out").onclick = key.signOut;
  listeners.forEach((listener) => listener(known));
}
