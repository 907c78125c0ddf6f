// What lives as long as the page: the feed, the orders, the views, and which of them is shown.

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
const SHOWN = 2000; // events of before, for the picture of the throughput
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
  // What was seen behind that place is void: everything is read anew.
  notice: (notice) => {
    announce(`The log says: ${notice.code}`);
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

/** Pages of the list, and the position up to which they are complete for certain. */
async function load() {
  for (;;) {
    const used = key.current();
    try {
      const { log, postgres } = await api.ready();
      if (log.position === undefined) throw new Error("the log is not there");
      // Asked for before the list: what is listed has all that was projected by then. Without
      // lists there is the feed.
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

/** The first page is waited for; the older ones may come while the feed runs. */
function pages() {
  const page = async (cursor) => {
    const found = await api.orders(PAGE, cursor);
    store.load(found.orders);
    return found.nextCursor;
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
