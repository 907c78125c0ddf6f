// Where the engine is: URL of the command line, else as DATA_DIR or PORT say, like its commands.
import { readFileSync } from "node:fs";
import process from "node:process";

function recorded() {
  try {
    const file = `${process.env.DATA_DIR || ".data"}/backends.json`;
    return JSON.parse(readFileSync(file, "utf8")).gateway_url;
  } catch {
    return ""; // none runs in this folder
  }
}

export const url =
  process.argv[2] || recorded() || `http://127.0.0.1:${process.env.PORT || 3000}`;
export const auth = process.env.API_KEY ? { authorization: `Bearer ${process.env.API_KEY}` } : {};

// Runs an example, and ends with one line where it fails.
export async function run(main) {
  try {
    await main();
  } catch (error) {
    const why = error.cause?.code ? `no engine answers at ${url} (${error.cause.code})` : error.message;
    console.error(why);
    process.exitCode = 1;
  }
}
