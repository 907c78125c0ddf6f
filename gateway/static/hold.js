// Holds the rows of the list where they are while they are pointed at, so that a row does not
// move away under a click. Rows that are held show their orders as they are now.

const REST_MS = 5000; // a pointer that rests as long as this holds nothing
const MOVED_MS = 400; // a click so soon after the rows moved was meant for another row

export class Hold {
  /** `box` has the rows; `release` is called when they may move again. */
  constructor(box, release) {
    this.until = 0; // until when the rows stay
    this.moved = -Infinity; // when rows moved, with the pointer at rest over them
    this.pressed = false;
    this.release = release;
    const point = () => this.extend();
    for (const type of ["pointermove", "pointerenter"]) box.addEventListener(type, point, { passive: true });
    box.addEventListener("pointerdown", () => {
      this.pressed = true;
      this.extend();
    });
    // A menu, or another window, may take the end of a press.
    for (const type of ["pointerup", "pointercancel", "contextmenu", "blur"]) addEventListener(type, () => this.let());
    box.addEventListener("pointerleave", () => this.end());
  }

  get on() {
    return this.pressed || performance.now() < this.until;
  }

  extend() {
    this.until = performance.now() + REST_MS;
    this.moved = -Infinity;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.release(), REST_MS);
  }

  /** The click follows: its row stays until it is over. */
  let() {
    if (!this.pressed) return;
    setTimeout(() => {
      this.pressed = false;
      this.release(); // a pointer that rested while it was pressed had its release already
    }, 0);
  }

  end() {
    // A finger leaves before its click arrives.
    const rest = this.pressed ? MOVED_MS : 0;
    [this.until, this.pressed, this.moved] = [performance.now() + rest, false, -Infinity];
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.release(), rest);
  }

  /** The rows that are shown have moved. */
  shifted() {
    this.moved = performance.now();
  }

  /** Whether the rows have just moved under a pointer at rest. */
  get treacherous() {
    return performance.now() - this.moved < MOVED_MS;
  }
}
