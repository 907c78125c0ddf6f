// Redraws a part of the page in place. What is there already stays the same element, so that focus,
// selection, scroll position, open details, the pointer over it and a press that has begun survive.
// Elements with a name are the same only under that name: a press never ends on another action.

import { handlers, listen } from "./dom.js";

const NAMES = ["id", "data-id", "data-key", "data-order", "data-column", "href"];
const OWN = "data-own"; // what changes itself, such as the values under the pointer
const KEPT = new Set(["open"]); // what the user has opened stays open

const nameOf = (node) => {
  const attribute = node.nodeType === Node.ELEMENT_NODE && NAMES.find((name) => node.hasAttribute(name));
  return attribute ? `${node.nodeName} ${attribute} ${node.getAttribute(attribute)}` : "";
};

/** Makes the content of `box` equal to `parts`: nodes, texts, and arrays of them. */
export function patch(box, ...parts) {
  const held = box.contains(document.activeElement) && document.activeElement;
  const fresh = parts.flat(Infinity).filter((part) => part !== null && part !== undefined && part !== false && part !== "");
  children(box, fresh.map((part) => (part instanceof Node ? part : document.createTextNode(part))));
  // What had the focus is gone: the next place around it takes it.
  if (held && !held.isConnected) (box.closest("[tabindex]") ?? document.getElementById("main")).focus({ preventScroll: true });
}

function children(box, fresh) {
  const matches = matched([...box.childNodes], fresh);
  const stay = new Set(matches.values());
  for (const node of [...box.childNodes]) if (!stay.has(node)) node.remove();
  let place = box.firstChild;
  for (const node of fresh) {
    const old = matches.get(node);
    if (!old) box.insertBefore(node, place);
    else {
      place = put(box, old, place);
      if (old !== node) change(old, node);
    }
  }
}

/** The nodes of before that become the new ones: those of the same name, or else the next of the kind. */
function matched(before, fresh) {
  const named = new Map(before.filter(nameOf).map((node) => [nameOf(node), node]));
  const plain = before.filter((node) => !nameOf(node));
  const [there, matches] = [new Set(before), new Map()];
  let from = 0;
  for (const node of fresh) {
    const name = nameOf(node);
    if (there.has(node)) matches.set(node, node);
    else if (name && named.has(name)) {
      matches.set(node, named.get(name));
      named.delete(name);
    } else if (!name) {
      let at = from;
      while (at < plain.length && plain[at].nodeName !== node.nodeName) at += 1;
      if (at === plain.length) continue;
      matches.set(node, plain[at]);
      from = at + 1;
    }
  }
  return matches;
}

/** Puts a node before `place`; returns what is behind it. A node that is moved loses its focus: the others move. */
function put(box, node, place) {
  if (node !== place && node.contains(document.activeElement)) {
    const after = node.nextSibling;
    while (place !== node) {
      const next = place.nextSibling;
      box.insertBefore(place, after);
      place = next;
    }
  } else if (node !== place) {
    box.insertBefore(node, place);
    return place;
  }
  return node.nextSibling;
}

function change(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.hasAttribute(OWN)) return;
  attributes(old, fresh);
  const given = handlers(fresh);
  for (const type of new Set([...Object.keys(handlers(old)), ...Object.keys(given)])) listen(old, type, given[type]);
  children(old, [...fresh.childNodes]);
  given.patched?.({ currentTarget: old });
}

function attributes(old, fresh) {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value && !KEPT.has(name)) old.setAttribute(name, value);
  if (fresh.type === "checkbox" && old.checked !== fresh.checked) old.checked = fresh.checked;
}
