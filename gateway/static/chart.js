// A line chart in the pixels of its place: axes with ticks, labels at the lines, a cross hair with
// the values under the pointer, dots for executions, and what the caller adds.

import { el, svg } from "./dom.js";

const COLOURS = 7;
const [LEFT, RIGHT, TOP, BOTTOM] = [64, 132, 10, 24];
const LABEL = 13; // least distance between two labels in px

const nice = (rough) => {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((step) => step * power >= rough) * power;
};

/** At most `most` round values between two bounds. */
export function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const step = nice((high - low) / most);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
}

/**
 * `lines`: [{name, points: [x, y][]}]; `dots`: [{x, y, title}]; `levels`: [{y}], drawn by `level`
 * with the scale of the chart; `xTicks` and `yTicks`: values; `xText` and `yText` write them; `label`
 * describes the chart.
 */
export function chart({ width, height, lines, dots = [], levels = [], level, xTicks, yTicks, xText, yText, x: [x0, x1], y: [y0, y1], label }) {
  const right = width < 480 ? 12 : RIGHT;
  const x = (value) => LEFT + (x1 === x0 ? 0.5 : (value - x0) / (x1 - x0)) * (width - LEFT - right);
  const y = (value) => height - BOTTOM - (y1 === y0 ? 0.5 : (value - y0) / (y1 - y0)) * (height - TOP - BOTTOM);
  const inside = (value) => value >= y0 && value <= y1;
  const grid = [
    ...yTicks.filter(inside).map((value) => [svg("line", { class: "grid-line", x1: LEFT, x2: width - right, y1: y(value), y2: y(value) }), svg("text", { class: "tick", x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, yText(value))]),
    ...xTicks.map((value) => svg("text", { class: "tick", x: x(value), y: height - 6, "text-anchor": value === x0 ? "start" : value === x1 ? "end" : "middle" }, xText(value))),
    svg("line", { class: "axis", x1: LEFT, x2: width - right, y1: height - BOTTOM, y2: height - BOTTOM }),
  ];
  const paths = lines.map(({ points }, index) => points.length && svg("path", { class: `line c${index % COLOURS}`, d: `M${points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" L")}${points.length === 1 ? " h3" : ""}` }));
  const names = right === RIGHT ? labels(lines, y, width - right + 8, height - BOTTOM) : [];
  const value = (place) => y0 + ((height - BOTTOM - place) / (height - TOP - BOTTOM)) * (y1 - y0);
  const scale = { left: LEFT, right: width - right, top: TOP, bottom: height - BOTTOM, y, value };
  const marks = levels.filter((line) => inside(line.y)).map((line) => level(line, scale));
  const points = dots.filter((dot) => dot.x >= x0 && dot.x <= x1 && inside(dot.y)).map((dot) => svg("circle", { class: "dot-mark", cx: x(dot.x), cy: y(dot.y), r: 4 }, svg("title", {}, dot.title)));
  const cross = svg("line", { class: "cross", "data-key": "cross", "data-own": "", y1: TOP, y2: height - BOTTOM, visibility: "hidden" });
  const drawn = svg("g", { role: "img", "aria-label": label }, grid, paths, points, names, cross);
  // Above the rest, and not within the image: what can be moved is reached by keyboard.
  const shown = { x0, x1, width, right, lines, x, xText, yText };
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, onpointermove: ({ currentTarget, clientX }) => hover(currentTarget, clientX, shown), onpointerleave: ({ currentTarget }) => leave(currentTarget), onpatched: ({ currentTarget }) => again(currentTarget, shown) }, drawn, marks);
  return el("div", { class: "chart-box" }, picture, el("div", { class: "tip", "data-own": "", hidden: true }));
}

const pointed = new WeakMap(); // picture -> where the pointer is in it

/** A chart that is redrawn under a pointer shows the values there. */
function again(picture, shown) {
  if (pointed.has(picture)) hover(picture, pointed.get(picture), shown);
}

function leave(picture) {
  pointed.delete(picture);
  picture.nextElementSibling.hidden = true;
  picture.querySelector(".cross").setAttribute("visibility", "hidden");
}

/** The names of the lines at their ends, moved apart where they would overlap. */
function labels(lines, y, left, lowest) {
  const ends = lines.map(({ name, points }, index) => ({ name, index, at: points.length ? y(points.at(-1)[1]) : NaN })).filter(({ at }) => !Number.isNaN(at)).sort((a, b) => a.at - b.at);
  ends.forEach((end, index) => {
    if (index && end.at < ends[index - 1].at + LABEL) end.at = ends[index - 1].at + LABEL;
  });
  ends.reverse().forEach((end, index) => {
    end.at = Math.min(end.at, index ? ends[index - 1].at - LABEL : lowest);
  });
  return ends.map(({ name, index, at }) => svg("text", { class: `line-name c${index % COLOURS}`, x: left, y: at + 4 }, name.length > 16 ? `${name.slice(0, 15)}…` : name));
}

/** The value of each line at the pointer. */
function hover(picture, clientX, { x0, x1, width, right, lines, x, xText, yText }) {
  pointed.set(picture, clientX);
  const [cross, tip, box] = [picture.querySelector(".cross"), picture.nextElementSibling, picture.getBoundingClientRect()];
  const at = x0 + ((clientX - box.left - LEFT) / (width - LEFT - right)) * (x1 - x0);
  const rows = lines.map(({ name, points }, index) => {
    const near = points.reduce((best, point) => (best && Math.abs(best[0] - at) <= Math.abs(point[0] - at) ? best : point), null);
    return near && [name, near, index];
  }).filter(Boolean);
  if (!rows.length) return;
  const place = rows[0][1][0];
  cross.setAttribute("x1", x(place));
  cross.setAttribute("x2", x(place));
  cross.setAttribute("visibility", "visible");
  tip.hidden = false;
  tip.replaceChildren(el("b", {}, xText(place, true)), ...rows.map(([name, [, value], index]) => el("span", { class: `c${index % COLOURS}` }, `${name} ${yText(value)}`)));
  tip.style.left = `${Math.min(Math.max(0, x(place) + 10), width - tip.offsetWidth - 4)}px`;
}
