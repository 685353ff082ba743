import { pythonNumber } from '../graph/module_tree';

// Python tells 7.0 from 7, and writes Infinity and NaN. Numbers that JavaScript would spell otherwise are carried as strings that begin with
// a character that no configuration has.
const mark = '\u0000';

// Strings match as a whole, to be left alone.
const stringOrNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?Infinity|NaN|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;

/** The values of a JSON text as Python writes it; `formatPythonJson` spells its numbers as they were. */
export function parsePythonJson(text: string): unknown {
  const marked = text.replace(stringOrNumber, (found) =>
    found.startsWith('"') || JSON.stringify(Number(found)) === found ? found : JSON.stringify(mark + found),
  );
  return JSON.parse(marked);
}

/** A number that Python is to read as a float. */
export function pythonFloat(value: number): string {
  return mark + pythonNumber(value);
}

/** The text of values, numbers of `parsePythonJson` and `pythonFloat` as they are spelled. */
export function formatPythonJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2).replace(/"\\u0000([^"]*)"/g, '$1')}\n`;
}
