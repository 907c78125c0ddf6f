// The page: the feed, the orders, the views, and which of them is shown.

import * as api from "./api.js";
import { AuditView } from "./audit.js";
import { Blotter } from "./blotter.js";
import { $, announce } from "./dom.js";
import { EngineView } from "./engine.js";
import { Feed } from "./feed.js";
import { Form } from "./form.js";
import * as key from "./key.js";
import { MarketView } from "./market.js";
import { OrderView } from "./order.js";
import { Store } from "./store.js";

const PAGE = 500;
const PAGES = 10;
const BACK = 5000;
const SHOWN = 2000; // past events, for the throughput chart
const STATES = { connecting: "Connecting…", live: "Live", down: "Reconnecting…" };

let listed = 0; // the lists have every event up to this position
const go = (hash) => (location.hash === hash ? route() : (location.hash = hash));
const store = new Store(api.order);
const blotter = new Blotter(store, (id) => go(`#/orders/${id}`));
const order = new OrderView(store, () => { go("#/"); $("grid").focus(); });
const form = new Form((id) => go(`#/orders/${id}`));
const engine = new EngineView(store);
const market = new MarketView();
const audit = new AuditView();
const VIEWS = { orders: null, market, engine, audit };

const feed = new Feed({
  event: (frame) => {
    if (frame.position > listed) store.take(frame);
    engine.count(frame);
    audit.grown(frame.position);
  },
  // Events after that position may be void: everything is read again.
  notice: (notice) => {
    announce(`Feed notice: ${notice.code}`);
    listed = 0;
    store.clear();
    pages().catch(() => {});
    if (order.id) order.load();
  },
  state: (state) => {
    $("connection").dataset.state = state;
    $("connection-text").textContent = STATES[state];
  },
});

/** Loads the list; returns the position from which the feed starts. */
async function load() {
  for (;;) {
    const used = key.current();
    try {
      const { log, postgres } = await api.ready();
      if (log.position === undefined) throw new Error("the log is not there");
      // Read before the list, which then includes everything projected up to this position. Without
      // Postgres the orders come from the feed alone.
      if (postgres.status !== "ok") return Math.max(0, log.position - BACK);
      await pages();
      listed = postgres.position;
      return Math.max(0, listed - SHOWN);
    } catch (error) {
      if (error.code === "scope-missing") await key.ask(used, error.message);
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

/** Waits for the first page; older pages load while the feed runs. */
function pages() {
  const page = async (cursor) => {
    const answer = await api.orders(PAGE, cursor);
    store.load(answer.orders);
    return answer.nextCursor;
  };
  const older = async (cursor) => {
    store.partial = Boolean(cursor); // until the last page is here
    for (let count = 1; cursor && count < PAGES; count += 1) cursor = await page(cursor);
    store.partial = Boolean(cursor);
    store.tell({});
  };
  return page().then((cursor) => void older(cursor).catch(() => {}));
}

function route() {
  const [, view = "", id = ""] = location.hash.split("/");
  const shown = view in VIEWS ? view : "orders";
  for (const name of Object.keys(VIEWS)) $(`view-${name}`).hidden = name !== shown;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  VIEWS[shown]?.open(id);
  if (view === "orders" && id) {
    blotter.select(id);
    form.form.hidden = true;
    order.open(id);
  } else {
    blotter.select("");
    form.form.hidden = false;
    order.hide();
  }
}

async function fillForm() {
  for (;;) {
    const used = key.current();
    try {
      const { tokens } = await api.tokens();
      form.fill(tokens);
      market.fill(tokens);
      return route();
    } catch (error) {
      if (error.code === "scope-missing") await key.ask(used, error.message);
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

addEventListener("hashchange", route);
addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    $("search").focus();
  }
  if (event.key === "Escape" && order.id) order.close();
});
route();
fillForm();
load().then((position) => feed.run(position));
