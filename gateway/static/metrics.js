// The metrics of the gateway, read from the text format of Prometheus.

import { url } from "./base.js";
import * as key from "./key.js";

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/gm;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** name -> [{labels, value}]. */
export function parsed(text) {
  const families = new Map();
  for (const [, name, labels = "", value] of text.matchAll(LINE)) {
    if (!families.has(name)) families.set(name, []);
    families.get(name).push({ labels: Object.fromEntries(Array.from(labels.matchAll(LABEL), ([, label, is]) => [label, is])), value: Number(value) });
  }
  return families;
}

/** Empty where the gateway refuses; a network error is thrown. */
export async function read() {
  const answer = await fetch(url("/metrics"), { headers: { accept: "text/plain", ...key.headers() }, signal: AbortSignal.timeout(5000) });
  return answer.ok ? parsed(await answer.text()) : new Map();
}

/** The value of a metric without labels; undefined where it is unknown. */
export const single = (metrics, name) => metrics.get(name)?.[0]?.value;

/** The sum of all series of a metric whose labels match. */
export const sum = (metrics, name, matches = () => true) => (metrics.get(name) ?? []).filter(({ labels }) => matches(labels)).reduce((whole, { value }) => whole + value, 0);
