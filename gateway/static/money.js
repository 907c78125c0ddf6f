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
const INVERSE = 18; // decimals

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

/** A decimal string with so many significant digits, rounded half up; whole digits always stay. */
export function rounded(text, digits) {
  const match = DECIMAL.exec(text ?? "");
  if (!match || !match[2]) return text ?? "";
  const [whole, part] = [match[1].replace(/^0+(?=\d)/, ""), match[2]];
  const zeros = whole === "0" ? /^0*/.exec(part)[0].length : -whole.length;
  const places = Math.max(0, digits + zeros);
  if (part.length <= places) return plain(units(text, part.length), part.length);
  const scaled = units(text, part.length);
  const step = 10n ** BigInt(part.length - places);
  return plain((scaled + step / 2n) / step, places);
}

/** Units of 10^-scale as a decimal string without trailing zeros. */
export function plain(value, scale) {
  const text = value.toString().padStart(scale + 1, "0");
  const [whole, part] = [text.slice(0, text.length - scale), text.slice(text.length - scale).replace(/0+$/, "")];
  return part ? `${whole}.${part}` : whole;
}

/** 1 / price, rounded down: a bound never becomes looser. Empty where there is none. */
export function inverse(text) {
  const value = units(text, SCALE);
  return value ? plain(10n ** BigInt(SCALE + INVERSE) / value, INVERSE) : "";
}

/** price × (1 + hundredths of a percent), in six significant digits. */
export function shifted(text, hundredths) {
  const value = units(text, SCALE);
  return value === null ? "" : rounded(plain((value * BigInt(10000 + hundredths)) / 10000n, SCALE), 6);
}

/** How far one amount is above another, in hundredths of a percent; null where one is not known. */
export function apart(amount, from) {
  const [x, y] = [units(amount, SCALE), units(from, SCALE)];
  return x === null || !y ? null : Number(((x - y) * 10000n) / y);
}

/** A float, for the pixels of a chart and for thresholds in percent; never for an amount. */
export const approximate = (text) => Number(text);

/** amount × price, truncated to `decimals`; empty where one of them is not a decimal number. */
export function worth(amount, price, decimals) {
  const [x, y] = [units(amount, SCALE), units(price, SCALE)];
  return x === null || y === null ? "" : plain((x * y) / 10n ** BigInt(2 * SCALE - decimals), decimals);
}
