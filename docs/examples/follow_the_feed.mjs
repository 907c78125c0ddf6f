// Every event of every order, from the first, resumed: `node follow_the_feed.mjs [URL] [COUNT]`.
import { auth, run, url } from "./lib/engine.mjs";

let left = Number(process.argv[3] ?? 10);
let cursor = "0"; // keep it where you keep what you made of the events
let reached = false;

await run(async () => {
  while (left > 0) {
    try {
      await follow();
    } catch (error) {
      if (!reached) throw error; // no engine answered yet
      console.error(`${error.message}: going on behind ${cursor}`);
    }
    if (left > 0) await new Promise((done) => setTimeout(done, 500));
  }
});

async function follow() {
  const stream = await fetch(`${url}/api/events`, {
    headers: { accept: "text/event-stream", "last-event-id": cursor, ...auth },
  });
  if (!stream.ok) throw new Error(`HTTP ${stream.status}`);
  reached = true;
  let rest = "";
  for await (const chunk of stream.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      if (lines.data && !lines.event) {
        const frame = JSON.parse(lines.data);
        console.log(frame.position, frame.orderId, frame.event);
        left -= 1;
      }
      if (lines.id) cursor = lines.id;
      if (left <= 0) return;
    }
  }
}
