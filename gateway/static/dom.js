// Creates elements from data. Text is set as text only: no input becomes markup.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

const given = new WeakMap(); // element -> {type of an event: what is called}

export const handlers = (element) => given.get(element) ?? {};

/** Calls a handler, in the place of the one before, for events of a type. */
export function listen(element, type, handler) {
  if (!given.has(element)) given.set(element, {});
  const all = given.get(element);
  if (!(type in all)) element.addEventListener(type, (event) => all[type]?.(event));
  all[type] = handler;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) listen(element, name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const badge = (status) => el("span", { class: `badge ${status}` }, status);

/** Disables a control, or enables it. The focus that it had before it was disabled comes back to it. */
export function disable(control, off) {
  if (control.disabled === off) return;
  if (off && control === document.activeElement) control.dataset.focused = "true";
  control.disabled = off;
  if (off) return;
  if (control.dataset.focused && [null, document.body].includes(document.activeElement)) control.focus({ preventScroll: true });
  delete control.dataset.focused;
}

/** Shows and hides controls that take turns: [control, shown]. The focus of one that goes is given to one that comes. */
export function offer(pairs) {
  const held = pairs.some(([control, shown]) => !shown && control === document.activeElement);
  for (const [control, shown] of pairs) control.hidden = !shown;
  if (held) pairs.find(([, shown]) => shown)?.[0].focus({ preventScroll: true });
}

/** A bar; `permille` is its length in thousandths. */
export function bar(permille) {
  return svg("svg", { class: "bar", viewBox: "0 0 1000 5", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 1000, height: 5 }), svg("rect", { class: "fill", width: permille, height: 5 }));
}

export function announce(text) {
  $("announce").textContent = text;
}
