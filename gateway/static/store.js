// Every order that is known, as the API shows it: pages of the list, then the feed on top. An event
// counts once: one whose version the order has already changes nothing.

import {
  AttemptFailed, OrderAmended, OrderCancelled, OrderConfirmed, OrderExpired, OrderFailed,
  OrderParked, OrderRearmed, OrderRequeued, OrderSubmitted, TransactionExpired, TransactionInDoubt,
} from "./events.js";

const KEPT = 20000;
const NO_ORDER = "ffffffff-"; // where events of the engine itself and of keys stand
/** What an operator must look at, as the filter names it: parked, in doubt, or neither. */
export const troubleOf = (order) => (order.parked ? "parked" : order.inDoubt && !ENDED.has(order.status) ? "in doubt" : "");
export const ENDED = new Set(["confirmed", "failed", "expired", "cancelled"]);

const TAKEN = ["type", "tokenIn", "tokenOut", "amount", "swapMode", "maxAmountIn", "slippageBps", "minAmountOut", "clientOrderId", "targetPrice", "timeInForce", "expiresAt", "minLiquidity", "maxPrice", "minPrice", "dex", "price", "executedPrice", "signature", "txHash", "rentLamports", "fills", "leftovers", "attempts", "warnings"];

export class Store {
  constructor(missing) {
    this.orders = new Map();
    this.listeners = new Set();
    this.read = false; // whether any list was
    this.partial = false; // whether older orders are not here
    this.missing = missing;
    this.newest = new Map(); // id -> the newest version in a frame so far
  }

  onChange(listener) {
    this.listeners.add(listener);
  }

  tell(change) {
    this.listeners.forEach((listener) => listener(change));
  }

  /** Orders as the API gives them; one that is newer here stays. */
  load(orders) {
    this.read = true;
    for (const order of orders) {
      const known = this.orders.get(order.orderId);
      if (!known || known.version < order.version) this.orders.set(order.orderId, order);
    }
    this.tell({});
  }

  clear() {
    this.orders.clear();
    this.tell({});
  }

  take(frame) {
    if (frame.orderId.startsWith(NO_ORDER)) return this.tell({ frame });
    const known = this.orders.get(frame.orderId);
    if (known && known.version >= frame.version) return;
    if (frame.event === OrderSubmitted) this.orders.set(frame.orderId, begun(frame));
    else if (known && known.version === frame.version - 1) this.orders.set(frame.orderId, moved(known, frame));
    else this.ask(frame);
    if (this.orders.size > KEPT) this.forget();
    this.tell({ frame });
  }

  /** Reads an order that is older than the loaded pages, until it is as new as its newest frame. */
  async ask(frame) {
    const asking = this.newest.has(frame.orderId);
    this.newest.set(frame.orderId, frame.version);
    if (asking) return;
    for (let failures = 0; failures < 20;) {
      try {
        const order = await this.missing(frame.orderId);
        this.load([order]);
        if (order.version >= this.newest.get(frame.orderId)) break;
      } catch {
        failures += 1;
      }
      await new Promise((done) => setTimeout(done, 250 * (1 + failures)));
    }
    this.newest.delete(frame.orderId);
  }

  forget() {
    for (const [id, order] of this.orders) {
      if (this.orders.size <= KEPT * 0.9) break;
      if (ENDED.has(order.status)) this.partial = this.orders.delete(id) || this.partial;
    }
  }
}

function begun(frame) {
  return moved({ orderId: frame.orderId, createdAt: frame.timestamp, account: frame.account, attempts: 0, inDoubt: false, parked: null }, frame);
}

function moved(order, frame) {
  const next = { ...order, status: frame.status, version: frame.version, updatedAt: frame.timestamp };
  for (const name of TAKEN) {
    if (name in frame && frame[name] !== null) next[name] = frame[name];
  }
  if (frame.feeLamports) next.feeLamports = (order.feeLamports ?? 0) + frame.feeLamports; // of each transaction
  if (frame.event === AttemptFailed) next.attempts = frame.attempt;
  if (frame.event === OrderConfirmed) [next.amountIn, next.amountOut] = [frame.amountIn ?? order.amount, frame.amountOut];
  if (frame.event === OrderFailed || frame.event === OrderExpired) [next.reason, next.detail] = [frame.reason, frame.detail || null];
  if (frame.event === OrderCancelled) next.detail = frame.reason || null;
  if (frame.event === OrderAmended) next.expiresAt = frame.expiresAt;
  if (frame.event === OrderParked) [next.parked, next.parkedDetail] = [frame.code, frame.reason];
  if (frame.event === OrderRequeued || ENDED.has(frame.status)) next.parked = next.parkedDetail = null;
  next.inDoubt = frame.event === TransactionInDoubt ? true : [OrderConfirmed, OrderFailed, TransactionExpired, OrderRearmed].includes(frame.event) ? false : order.inDoubt;
  return next;
}
