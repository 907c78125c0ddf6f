// Trades through the client that openapi-typescript and openapi-fetch make, as a bot would.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

declare const process: { argv: string[] };

const [baseUrl = "", key = ""] = process.argv.slice(2);
const TRIES = 600;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

function check(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

async function ended(id: string): Promise<Schemas["Order"]> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const { data, error } = await client.GET("/api/orders/{id}", { params: { path: { id } } });
    check(data, `read: ${error?.code}`);
    const status: Schemas["OrderStatus"] = data.status;
    if (status === "confirmed" || status === "failed") return data;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("it did not end");
}

// The simplest order: neither a type nor anything that has a default.
const simple: Schemas["OrderRequest"] = { tokenIn: "SOL", tokenOut: "USDC", amount: "1.5" };
const submitted = await client.POST("/api/orders/execute", { body: simple });
check(submitted.data, `submit: ${submitted.error?.code}`);
const { orderId } = submitted.data;
const done = await ended(orderId);
check(done.status === "confirmed", `it is ${done.status}: ${done.reason}`);
check(done.requestedAmount === "1.5" && done.requestedToken === "SOL", "what was asked for");
check(done.amountIn === "1.5" && done.amountOut !== null, "what was traded");

const limit: Schemas["LimitOrderRequest"] = {
  type: "limit", tokenIn: "SOL", tokenOut: "USDC", amount: 1, targetPrice: "999999", clientOrderId: "ts/limit-1",
};
const batch = await client.POST("/api/orders/batch", { body: { orders: [simple, limit, { ...simple, amount: "0" }] } });
check(batch.data, `batch: ${batch.error?.code}`);
const [first, second, third] = batch.data.results;
check(first?.status === "pending" && second?.orderId, "two are taken");
check(third?.status === "rejected", "one is rejected");
const wrong: Schemas["ErrorCode"] | undefined = third.problem?.code;
check(wrong === "amount-not-positive", `with its problem: ${wrong}`);

const named = await client.GET("/api/orders/by-client-id/{clientOrderId}", { params: { path: { clientOrderId: "ts/limit-1" } } });
check(named.data?.orderId === second.orderId, `by its name: ${named.error?.code}`);

// Only a waiting order can be amended.
let waiting = named.data;
for (let tries = 0; tries < TRIES && waiting.status !== "watching"; tries += 1) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  const read = await client.GET("/api/orders/{id}", { params: { path: { id: second.orderId } } });
  check(read.data, `read: ${read.error?.code}`);
  waiting = read.data;
}
const path = { id: second.orderId };
const amended = await client.PATCH("/api/orders/{id}", { params: { path }, body: { version: waiting.version, targetPrice: "999998" } });
check(amended.data?.targetPrice === "999998", `amend: ${amended.error?.code}`);
const cancelled = await client.DELETE("/api/orders/{id}", { params: { path, query: { reason: "done" } } });
check(cancelled.data?.status === "cancelled", `cancel: ${cancelled.error?.code}`);
const late = await client.DELETE("/api/orders/{id}", { params: { path: { id: orderId } } });
const problem: Schemas["Problem"] | undefined = late.error;
check(problem?.code === "too-late" && problem.orderStatus === "confirmed", `a typed problem: ${problem?.code}`);
check(late.response.status === 409, "with its status");

let listed: Schemas["Order"][] = [];
for (let tries = 0; tries < TRIES && listed.length < 2; tries += 1) {
  await new Promise((resolve) => setTimeout(resolve, 100)); // the archive follows the log
  const page = await client.GET("/api/orders", { params: { query: { status: ["confirmed", "cancelled"], type: ["market", "limit"], open: false, limit: 10 } } });
  check(page.data, `list: ${page.error?.code} ${page.error?.detail}`);
  listed = page.data.orders.filter((order) => [orderId, second.orderId].includes(order.orderId));
}
check(listed.length === 2, "both are listed");
const gone = listed.find((order) => order.orderId === second.orderId);
check(gone?.amountIn === null && gone.reason === null && gone.detail === "done", "what did not trade");

const history = await client.GET("/api/orders/{id}/events", { params: { path: { id: orderId } } });
check(history.data, `history: ${history.error?.code}`);
for (const frame of history.data.events) {
  if (frame.event === "OrderConfirmed") check(frame.executedPrice === done.executedPrice, "told apart by its event");
}
check(history.data.events[0]?.event === "OrderSubmitted", "from the first on");

const quotes = await client.GET("/api/quotes", { params: { query: { tokenIn: "SOL", tokenOut: "USDC", amount: "1.5", swapMode: "exactIn" } } });
check(quotes.data?.best?.amountOut, `quotes: ${quotes.error?.code}`);
const time = await client.GET("/api/time");
check(time.data && Math.abs(time.data.unixMs - Date.now()) < 3_600_000, "the time");
const unknown = await client.GET("/api/orders", { params: { query: { token: "DOGE" } } });
check(unknown.error?.code === "malformed-parameter" && unknown.error.parameter === "token", "a refused filter");
console.log("traded");
