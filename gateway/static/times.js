// How the console writes times: 24 hours in the zone of the browser, with the date where it is not
// today's; relative times with the absolute one on hover. English, whatever the browser's language.

import { el } from "./dom.js";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const STEPS = [[60, "s", 1], [3600, "min", 60], [86400, "h", 3600], [Infinity, "d", 86400]];
const REFRESH_MS = 5000;

const two = (value) => String(value).padStart(2, "0");
const day = (date) => `${date.getDate()} ${MONTHS[date.getMonth()]}`;
const hours = (date) => `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;

/** The zone of all times shown, such as "UTC+02:00". */
export function zone(at = new Date()) {
  const minutes = -at.getTimezoneOffset();
  const size = Math.abs(minutes);
  return minutes === 0 ? "UTC" : `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** "14:03:22" today, "29 Nov 14:03:22" in this year, "29 Nov 2025 14:03:22" before. */
export function clock(iso, now = new Date()) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  if (date.toDateString() === now.toDateString()) return hours(date);
  const year = date.getFullYear() === now.getFullYear() ? "" : ` ${date.getFullYear()}`;
  return `${day(date)}${year} ${hours(date)}`;
}

/** "29 Nov 2026 14:03:22 UTC+02:00". */
export function absolute(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? "" : `${day(date)} ${date.getFullYear()} ${hours(date)} ${zone(date)}`;
}

/** A span such as "12 s", "3 min", "2 h". */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const [, unit, size] = STEPS.find(([below]) => seconds < below);
  return `${Math.floor(seconds / size)} ${unit}`;
}

/** A duration in the unit that suits it: "12 ms", "1.2 s", "3 min 5 s", "2 h 4 min". */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** "2 min ago", or "in 2 min". */
export function relative(iso, now = Date.now()) {
  const ms = now - Date.parse(iso);
  if (Math.abs(ms) < 1000) return "now";
  return ms < 0 ? `in ${span(-ms)}` : `${span(ms)} ago`;
}

/** The time of day, with date where needed; the rest on hover. */
export const at = (iso, attributes = {}) => el("time", { datetime: iso, title: `${absolute(iso)}, ${relative(iso)}`, ...attributes }, clock(iso));

/** A relative time that stays right while it is shown; the absolute one on hover. */
export const ago = (iso) => el("time", { datetime: iso, title: absolute(iso), "data-relative": true }, relative(iso));

/** Keeps relative times right. */
export function keepRelative() {
  setInterval(() => {
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const text = relative(time.dateTime);
      if (time.textContent !== text) time.textContent = text;
    }
  }, REFRESH_MS);
}
