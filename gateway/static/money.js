// Amounts are decimal strings, compared and shown exactly: BigInt, never floats.

const DECIMAL = /^(\d+)(?:\.(\d+))?$/;

/** Units of 10^-scale; null where the text is not a decimal number. */
export function units(text, scale) {
  const match = DECIMAL.exec(text ?? "");
  if (!match) return null;
  const fraction = match[2] ?? "";
  if (fraction.length > scale) return null;
  return BigInt(match[1] + fraction.padEnd(scale, "0"));
}

const SCALE = 30;

/** -1, 0 or 1, for two decimal strings; a missing one sorts first. */
export function compare(a, b) {
  const [x, y] = [units(a, SCALE) ?? -1n, units(b, SCALE) ?? -1n];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Adds thousands separators and keeps all digits. */
export function grouped(text) {
  const match = DECIMAL.exec(text ?? "");
  if (!match) return text ?? "";
  const whole = match[1].replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return match[2] ? `${whole}.${match[2]}` : whole;
}

/** The difference of two amounts, in hundredths of a basis point of the second. */
export function behind(amount, best) {
  const [x, y] = [units(amount, SCALE), units(best, SCALE)];
  if (x === null || !y) return 0;
  return Number(((x < y ? y - x : x - y) * 1000000n) / y);
}

/** Why a text is not a valid amount with this many decimals; empty where it is. */
export function fault(text, decimals) {
  if (!DECIMAL.test(text)) return "A plain decimal number, such as 1.5";
  if ((DECIMAL.exec(text)[2] ?? "").length > decimals) return `At most ${decimals} decimals`;
  return /[1-9]/.test(text) ? "" : "More than zero";
}

/** The swap of an order, with the amount on its exact side. */
export const asked = (order) => (order.swapMode === "exactOut" ? `${order.tokenIn} → ${grouped(order.amount)} ${order.tokenOut}` : `${grouped(order.amount)} ${order.tokenIn} → ${order.tokenOut}`);

/** amount × price, truncated to `decimals`; empty where one of them is not a decimal number. */
export function worth(amount, price, decimals) {
  const [x, y] = [units(amount, SCALE), units(price, SCALE)];
  if (x === null || y === null) return "";
  const text = ((x * y) / 10n ** BigInt(2 * SCALE - decimals)).toString().padStart(decimals + 1, "0");
  const [whole, part] = [text.slice(0, text.length - decimals), text.slice(text.length - decimals).replace(/0+$/, "")];
  return part ? `${whole}.${part}` : whole;
}
