// Submit one order and watch it to its end: `node submit_and_watch.mjs [URL]`. Node 20, no packages.
import { randomUUID } from "node:crypto";

const url = process.argv[2] ?? `http://127.0.0.1:${process.env.PORT ?? 3000}`;
const auth = process.env.API_KEY ? { authorization: `Bearer ${process.env.API_KEY}` } : {};

// The same key again gives the same order: after a lost answer, send the request again with it.
const key = randomUUID();
const answer = await fetch(`${url}/api/orders/execute`, {
  method: "POST",
  headers: { "content-type": "application/json", "idempotency-key": key, ...auth },
  body: JSON.stringify({ tokenIn: "SOL", tokenOut: "USDC", amount: "1.5" }), // a string: exact
});
const accepted = await answer.json();
if (!answer.ok) throw new Error(`${accepted.code}: ${accepted.detail}`);

// Its history, then what happens to it, until it ended.
const stream = await fetch(`${url}/api/orders/${accepted.orderId}/events`, {
  headers: { accept: "text/event-stream", ...auth },
});
let rest = "";
for await (const chunk of stream.body.pipeThrough(new TextDecoderStream())) {
  const blocks = (rest + chunk).split("\n\n");
  rest = blocks.pop();
  for (const block of blocks) {
    const data = block.split("\n").find((line) => line.startsWith("data: "));
    const frame = data && JSON.parse(data.slice(6));
    if (frame?.orderId) console.log(frame.status.padEnd(10), frame.event);
  }
}
