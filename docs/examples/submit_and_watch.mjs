// Submit one order and watch it to its end: `node submit_and_watch.mjs [URL]`. Node 20, no packages.
import { events, run, submit } from "./lib/engine.mjs";

await run(async () => {
  const order = { tokenIn: "SOL", tokenOut: "USDC", amount: "1.5" }; // a string: exact
  const { orderId } = await submit(order);
  // Its history, then what happens to it, until it has ended.
  for await (const frame of events(`/api/orders/${orderId}/events`)) {
    console.log(frame.status.padEnd(10), frame.event);
  }
});
