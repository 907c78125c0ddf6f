// The page: the feed, the orders, the views, and which of them is shown.

import * as api from "./api.js";
import { Attention } from "./attention.js";
import { AuditView } from "./audit.js";
import { Blotter } from "./blotter.js";
import { $, announce } from "./dom.js";
import { EngineView } from "./engine.js";
import { Form } from "./form.js";
import * as key from "./key.js";
import { Live } from "./live.js";
import { MarketView } from "./market.js";
import { closeMenus, menus } from "./menus.js";
import * as notify from "./notify.js";
import { copyInFull } from "./numbers.js";
import { OrderView } from "./order.js";
import * as session from "./session.js";
import { SharedFeed } from "./shared_feed.js";
import { shortcuts } from "./shortcuts.js";
import { Store } from "./store.js";
import { keepRelative, zone } from "./times.js";
import * as usd from "./usd.js";

const PAGE = 500;
const PAGES = 10;
const BACK = 5000;
const SHOWN = 2000; // past events, for the throughput chart

let listed = 0; // the lists have every event up to this position
const go = (hash) => (location.hash === hash ? route() : (location.hash = hash));
const store = new Store(api.order);
const blotter = new Blotter(store, (id) => go(`#/orders/${id}`));
const order = new OrderView(store, () => { go("#/"); $("grid").focus(); });
const form = new Form((id) => go(`#/orders/${id}`));
const engine = new EngineView(store);
const market = new MarketView(store);
const audit = new AuditView();
const live = new Live();
const VIEWS = { orders: null, market, engine, audit };

function showStatus(status) {
  go("#/");
  blotter.filters.apply({ statuses: [status] });
}

new Attention(store, showStatus);
notify.onDigest(showStatus);

const feed = new SharedFeed({
  event: (frame) => {
    live.event(frame.timestamp);
    if (frame.position > listed) {
      store.take(frame);
      notify.notice(frame, store.orders.get(frame.orderId));
    }
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
  alive: () => live.alive(),
  state: (state) => {
    live.set(state);
    if (state === "down") session.check();
  },
});
live.woke = () => feed.hurry();
for (const change of ["online", "offline"]) addEventListener(change, () => feed.hurry());

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
      if (error.code === "scope-missing") await key.lacking(used, error.message);
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
  closeMenus();
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
    order.open(id);
  } else {
    blotter.select("");
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
      const symbols = tokens.map(({ symbol }) => symbol);
      blotter.filters.server.tokens = new Set(symbols);
      usd.setTokens(symbols);
      return route();
    } catch (error) {
      if (error.code === "scope-missing") await key.lacking(used, error.message);
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

function newOrder() {
  if ($("view-orders").hidden) go("#/");
  $("amount").focus();
  $("form").scrollIntoView({ block: "nearest" });
  return true;
}

menus(); // before the shortcuts: Escape closes a menu first
shortcuts([
  { keys: ["/"], text: "Search", key: "/", act: () => { go(location.hash.startsWith("#/orders") ? location.hash : "#/"); $("search").focus(); return true; } },
  { keys: ["↓"], text: "From the search into the list; there, arrows move and Enter opens", key: "ArrowDown", always: true, act: (event) => event.target === $("search") && (blotter.enter(), true) },
  { keys: ["n"], text: "New order", key: "n", act: newOrder },
  { keys: ["c"], text: "Cancel the order that is open, or at the cursor of the list", key: "c", act: () => !$("view-orders").hidden && (blotter.cancelHere(), true) },
  { keys: ["Space"], text: "Select the order at the cursor, to cancel several together" },
  { keys: ["Esc"], text: "Close the order", key: "Escape", always: true, act: () => order.id && (order.close(), true) },
  { keys: ["?"], text: "This list", key: "?", act: () => ($("shortcuts").showModal(), true) },
]);
$("new-order").addEventListener("click", newOrder);
$("zone").textContent = zone();
notify.switches();
copyInFull();
keepRelative();
addEventListener("hashchange", route);
route();
session.load();
fillForm();
load().then((position) => feed.run(position));
