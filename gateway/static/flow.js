// The diagram of the pipeline: stages and their connections, events a second, and backlog.

import { svg } from "./dom.js";
import { WRITERS } from "./events.js";

const BOXES = [
  ["gateway", 0, 0], ["router", 1, 0], ["builder", 2, 0], ["submitter", 3, 0], ["confirmer", 4, 0], ["watcher", 1, 1], ["projector", 4, 1],
];
const ARROWS = [["gateway", "router"], ["router", "builder"], ["builder", "submitter"], ["submitter", "confirmer"], ["watcher", "router"]];
const [WIDE, HIGH, STEP, DOWN] = [136, 62, 176, 104];

/** The service that wrote an event: the stage that it names, else that of its kind. */
export const writer = (frame) => (frame.stage && BOXES.some(([name]) => name === frame.stage) ? frame.stage : WRITERS[frame.event]);

/** `facts`: name -> {rate, lag, fault}. */
export function flow(facts) {
  const at = Object.fromEntries(BOXES.map(([name, x, y]) => [name, [x * STEP, y * DOWN]]));
  const arrows = ARROWS.map(([from, to]) => {
    const [[x1, y1], [x2, y2]] = [at[from], at[to]];
    const straight = y1 === y2;
    const line = straight ? `M${x1 + WIDE},${y1 + HIGH / 2} L${x2 - 6},${y2 + HIGH / 2}` : `M${x1 + WIDE / 2},${y1} L${x2 + WIDE / 2},${y2 + HIGH + 6}`;
    return svg("path", { class: "arrow", d: line, "marker-end": "url(#tip)" });
  });
  const boxes = BOXES.map(([name]) => {
    const [x, y] = at[name];
    const { rate = 0, lag = "", fault = "" } = facts[name] ?? {};
    return svg("g", { class: fault ? "box bad" : rate ? "box busy" : "box" }, svg("rect", { x, y, width: WIDE, height: HIGH, rx: 9 }),
      svg("text", { x: x + 12, y: y + 22, class: "name" }, name), svg("text", { x: x + 12, y: y + 38 }, `${rate.toFixed(rate < 10 ? 1 : 0)}/s`), svg("text", { x: x + 12, y: y + 53 }, fault ? "see below" : lag));
  });
  const tip = svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, svg("path", { d: "M0,0 L8,4 L0,8 Z" })));
  const label = BOXES.map(([name]) => `${name} ${(facts[name]?.rate ?? 0).toFixed(1)} a second, ${facts[name]?.lag || "nothing before it"}`).join("; ");
  return svg("svg", { class: "flow", viewBox: `-4 -4 ${4 * STEP + WIDE + 8} ${DOWN + HIGH + 12}`, role: "img", "aria-label": `Flow of orders: ${label}` }, tip, arrows, boxes);
}
