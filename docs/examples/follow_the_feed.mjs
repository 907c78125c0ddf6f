// Every event of every order, from the first, resumed: `node follow_the_feed.mjs [URL] [COUNT]`.
const url = process.argv[2] ?? `http://127.0.0.1:${process.env.PORT ?? 3000}`;
let left = Number(process.argv[3] ?? 10);
const auth = process.env.API_KEY ? { authorization: `Bearer ${process.env.API_KEY}` } : {};

let cursor = "0"; // keep it where you keep what you made of the events
while (left > 0) {
  try {
    await follow();
  } catch (error) {
    console.error(`${error.message}: going on behind ${cursor}`);
  }
  if (left > 0) await new Promise((done) => setTimeout(done, 500));
}

async function follow() {
  const stream = await fetch(`${url}/api/events`, {
    headers: { accept: "text/event-stream", "last-event-id": cursor, ...auth },
  });
  if (!stream.ok) throw new Error(`HTTP ${stream.status}`);
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
