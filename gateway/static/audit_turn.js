// The gateway runs one audit at a time: those of this page follow each other, and one that finds
// another page's audit under way is tried again.

const AGAIN_MS = 1000;
const BUSY = "audit-busy";
let last = Promise.resolve();

/**
 * Runs `work` after the audits before it. `current` tells whether its result is still shown: if
 * not, nothing is asked and the promise is rejected. `busy` is called while another page's audit runs.
 */
export async function inTurn(work, current = () => true, busy = () => {}) {
  const before = last;
  let end;
  last = new Promise((done) => (end = done));
  await before;
  try {
    for (;;) {
      if (!current()) throw new Error("replaced by a newer request");
      try {
        return await work();
      } catch (error) {
        if (error.code !== BUSY) throw error;
        busy(error);
      }
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  } finally {
    end();
  }
}
