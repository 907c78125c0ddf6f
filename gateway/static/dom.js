// Creates elements from data. Text is set as text only: no input becomes markup.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const badge = (status) => el("span", { class: `badge ${status}` }, status);

/** A bar; `permille` is its length in thousandths. */
export function bar(permille) {
  return svg("svg", { class: "bar", viewBox: "0 0 1000 5", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "track", width: 1000, height: 5 }), svg("rect", { class: "fill", width: permille, height: 5 }));
}

export function announce(text) {
  $("announce").textContent = text;
}
