// Every event of every order, from the first, resumed: `node follow_the_feed.mjs [URL] [COUNT]`.
import { events, run } from "./lib/engine.mjs";

let left = Number(process.argv[3] ?? 10);
const cursor = "0"; // keep the cursor of the last frame where you keep what you made of it

await run(async () => {
  for await (const frame of events("/api/events", cursor)) {
    console.log(frame.position, frame.orderId, frame.event);
    left -= 1;
    if (left <= 0) return;
  }
});
