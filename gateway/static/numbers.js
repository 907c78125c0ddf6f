// How the console writes numbers: six significant digits, a narrow space between thousands, the
// point in one place within a column, and the full value on hover and in what is copied.

import { el } from "./dom.js";
import { grouped, rounded } from "./money.js";

export const DIGITS = 6;

/** A decimal string in at most six significant digits; all whole digits stay. */
export const short = (text) => grouped(rounded(text, DIGITS));

/** A count, such as 12 345. */
export const count = (value) => (value === undefined || value === null ? "–" : grouped(String(value)));

/**
 * A number with its unit as an element: rounded, the full value in its title and when copied. With
 * `aligned` the point stands in the same place in every row of a column.
 */
export function figure(text, unit = "", aligned = false) {
  if (text === undefined || text === null || text === "") return "";
  const shown = short(text);
  const [whole, part] = shown.split(".");
  const full = unit ? `${grouped(text)} ${unit}` : grouped(text);
  const digits = aligned ? [el("span", {}, whole), el("span", { class: "part" }, part ? `.${part}` : "")] : shown;
  return el("data", { class: aligned ? "figure aligned" : "figure", value: text, title: full }, digits, unit && (aligned ? el("span", { class: "unit" }, unit) : ` ${unit}`));
}

const WHOLE = 100000; // hundredths of a percent from which on decimals say nothing

/** Hundredths of a percent, signed: "+6.07 %"; "+66 131 %" from 1 000 % on. */
export function percent(hundredths, signed = false) {
  const sign = hundredths < 0 ? "−" : signed && hundredths > 0 ? "+" : "";
  const value = Math.abs(hundredths);
  if (value >= WHOLE) return `${sign}${count(Math.round(value / 100))} %`;
  return `${sign}${count(Math.floor(value / 100))}.${String(value % 100).padStart(2, "0")} %`;
}

/** Copied figures are the full values, without separators. */
export function copyInFull() {
  document.addEventListener("copy", (event) => {
    const selection = getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return;
    const copied = selection.getRangeAt(0).cloneContents();
    const figures = [...copied.querySelectorAll("data.figure")];
    if (!figures.length) return;
    for (const node of figures) node.textContent = node.title.replaceAll("\u202f", "");
    for (const cell of copied.querySelectorAll("[role=gridcell] + [role=gridcell], td + td, th + td")) cell.prepend("\t");
    for (const row of copied.querySelectorAll("[role=row] + [role=row], tr + tr")) row.prepend("\n");
    event.clipboardData.setData("text/plain", copied.textContent);
    event.preventDefault();
  });
}
