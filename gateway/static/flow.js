// The diagram of the pipeline: stages and their connections, events a second, and backlog.

import { svg } from "./dom.js";
import { WRITERS } from "./events.js";

const BOXES = [
  ["gateway", 0, 0], ["router", 1, 0], ["builder", 2, 0], ["submitter", 3, 0], ["confirmer", 4, 0], ["watcher", 1, 1], ["projector", 4, 1],
];
const [WIDE, HIGH, STEP, DOWN] = [136, 62, 176, 118];
const [RIGHT, LEFT] = [(column) => column * STEP + WIDE, (column) => column * STEP];
const MIDDLE = HIGH / 2;
const LOG = DOWN + MIDDLE; // the line along which the projector reads the events of all stages
const down = (column) => `M${LEFT(column) + WIDE / 2},${HIGH} L${LEFT(column) + WIDE / 2},${LOG - 2}`;
const ahead = (from, to) => `M${RIGHT(from)},${MIDDLE} L${LEFT(to) - 6},${MIDDLE}`;

/** from, to, path, and a label where the arrow is not an order that moves on. */
const ARROWS = [
  ["gateway", "router", ahead(0, 1)], ["router", "builder", ahead(1, 2)], ["builder", "submitter", ahead(2, 3)], ["submitter", "confirmer", ahead(3, 4)],
  ["gateway", "watcher", `M${LEFT(0) + WIDE / 2},${HIGH} L${LEFT(0) + WIDE / 2},${LOG} L${LEFT(1) - 6},${LOG}`, "limit, sniper", LEFT(0) + WIDE / 2 + 8, LOG - 8],
  ["watcher", "router", `M${LEFT(1) + WIDE / 2},${DOWN} L${LEFT(1) + WIDE / 2},${HIGH + 6}`, "triggered", LEFT(1) + WIDE / 2 + 8, (HIGH + DOWN) / 2 + 4],
  ["watcher", "projector", `M${RIGHT(1)},${LOG} L${LEFT(4) - 6},${LOG}`, "all events of all parts, through the log", RIGHT(1) + 8, LOG + 18],
  ["builder", "projector", down(2)], ["submitter", "projector", down(3)],
  ["confirmer", "projector", `M${LEFT(4) + WIDE / 2},${HIGH} L${LEFT(4) + WIDE / 2},${DOWN - 6}`],
];

/** The service that wrote an event: the stage that it names, else that of its kind. */
export const writer = (frame) => (frame.stage && BOXES.some(([name]) => name === frame.stage) ? frame.stage : WRITERS[frame.event]);

/** `facts`: name -> {rate, lag, fault, alert}; a box with an alert links to what to do. */
export function flow(facts) {
  const arrows = ARROWS.map(([from, to, path, label, x, y]) => [
    svg("path", { class: to === "projector" ? "arrow reads" : "arrow", d: path, "marker-end": "url(#tip)", "data-from": from, "data-to": to }),
    label ? svg("text", { x, y, class: "arrow-name" }, label) : null,
  ]);
  const boxes = BOXES.map(([name, column, row]) => {
    const [x, y] = [column * STEP, row * DOWN];
    const { rate = 0, lag = "", fault = "", alert = "" } = facts[name] ?? {};
    return svg("g", { class: fault ? "box bad" : rate ? "box busy" : "box" }, fault ? svg("title", {}, fault) : null, svg("rect", { x, y, width: WIDE, height: HIGH, rx: 9 }),
      svg("text", { x: x + 12, y: y + 22, class: "name" }, name), svg("text", { x: x + 12, y: y + 38 }, `${rate.toFixed(rate < 10 ? 1 : 0)}/s`), fault && alert ? svg("a", { href: `#/engine/${alert}`, "aria-label": `${name}: ${fault}` }, svg("text", { class: "fault", x: x + 12, y: y + 53 }, "What to do")) : svg("text", { x: x + 12, y: y + 53 }, fault ? "see above" : lag));
  });
  const tip = svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, svg("path", { d: "M0,0 L8,4 L0,8 Z" })));
  const label = BOXES.map(([name]) => `${name} ${(facts[name]?.rate ?? 0).toFixed(1)} a second, ${facts[name]?.fault || facts[name]?.lag || "nothing before it"}`).join("; ");
  return svg("svg", { class: "flow", viewBox: `-4 -4 ${4 * STEP + WIDE + 8} ${DOWN + HIGH + 12}`, role: "group", "aria-label": `Flow of orders: ${label}` }, tip, arrows, boxes);
}
