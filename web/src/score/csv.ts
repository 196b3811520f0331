/** predictions.csv, as tfds_builders/common/text.py and NumPy write it. */

import type { Record } from "./record";

// Spreadsheets take a cell that begins with one of these for a formula.
const FORMULA = /^'*[=+\-@\t\r]/;
const NUMBER = /^([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan))$/i;
// Control codes, the overrides of writing direction, and what is not Unicode at all.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const WELCOME = "\n\t\u200c\u200d";

/** A table with a header, lines ending in LF. */
export function csvText(columns: string[], records: Record[]): string {
  const rows = records.map((record) => columns.map((name) => cell(record[name] ?? "")));
  return [columns.map(cell), ...rows].map((row) => `${row.map(quoted).join(",")}\n`).join("");
}

function cell(value: string | number): string {
  const text = typeof value === "number" ? float32Text(value) : printable(value);
  return FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text;
}

/** The text with control codes written out, lines kept. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    if (WELCOME.includes(character)) return character;
    if (character === "\r") return "\\r";
    const code = character.codePointAt(0)!;
    const hex = code.toString(16);
    if (code < 256) return `\\x${hex.padStart(2, "0")}`;
    return code < 65536 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
  });
}

function quoted(text: string): string {
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The shortest decimal that is this float32, as NumPy prints it. */
export function float32Text(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return "0.0";
  let digits = 1;
  while (digits < 9 && Math.fround(Number(value.toExponential(digits - 1))) !== value) digits++;
  const [mantissa, power] = value.toExponential(digits - 1).split("e") as [string, string];
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const sign = exponent < 0 ? "-" : "+";
    return `${mantissa}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const plain = Number(value.toExponential(digits - 1)).toFixed(Math.max(digits - 1 - exponent, 1));
  return plain;
}
