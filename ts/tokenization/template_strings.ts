import { PYTHON_SPACE } from './python_space';
import { asValue, isList, isNumber, listOf, pythonText, type Value } from './template_values';

// What Python's strings, and Jinja's filters, do that those of the package do not, or do otherwise.

const leading = new RegExp(`^[${PYTHON_SPACE}]+`);
const trailing = new RegExp(`[${PYTHON_SPACE}]+$`);
const LINE_ENDS = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029';
const lineEnd = new RegExp(`\\r\\n|[${LINE_ENDS}]`);

/** `str.strip`: white space, or the characters of `characters`, from one end or both. */
function stripped(text: string, characters: unknown, sides: { left: boolean; right: boolean }): string {
  if (typeof characters !== 'string') {
    const cut = sides.left ? text.replace(leading, '') : text;
    return sides.right ? cut.replace(trailing, '') : cut;
  }
  const all = Array.from(text);
  const taken = new Set(characters);
  let start = 0;
  let end = all.length;
  if (sides.left) while (start < end && taken.has(all[start] as string)) start++;
  if (sides.right) while (end > start && taken.has(all[end - 1] as string)) end--;
  return all.slice(start, end).join('');
}

/** The place of a part counted in characters, as Python counts; -1 where it is not. */
function placeOf(text: string, at: number): number {
  return at < 0 ? -1 : Array.from(text.slice(0, at)).length;
}

type Method = (text: string, ...args: unknown[]) => unknown;

const isAll =
  (pattern: RegExp): Method =>
  (text) =>
    pattern.test(text);

/** Methods of Python's `str`, with the arguments as the package gives them: strings and numbers, lists as lists of values. */
const STRING_METHODS: Readonly<Record<string, Method>> = {
  strip: (text, characters) => stripped(text, characters, { left: true, right: true }),
  lstrip: (text, characters) => stripped(text, characters, { left: true, right: false }),
  rstrip: (text, characters) => stripped(text, characters, { left: false, right: true }),
  removeprefix: (text, prefix) => (text.startsWith(String(prefix)) ? text.slice(String(prefix).length) : text),
  removesuffix: (text, suffix) =>
    suffix !== '' && text.endsWith(String(suffix)) ? text.slice(0, text.length - String(suffix).length) : text,
  find: (text, part) => placeOf(text, text.indexOf(String(part))),
  rfind: (text, part) => placeOf(text, text.lastIndexOf(String(part))),
  index: (text, part) => {
    const at = placeOf(text, text.indexOf(String(part)));
    if (at < 0) throw new Error(`substring ${JSON.stringify(part)} not found`);
    return at;
  },
  count: (text, part) => (part === '' ? Array.from(text).length + 1 : text.split(String(part)).length - 1),
  splitlines: (text) => {
    const lines = text.split(lineEnd);
    return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
  },
  join: (text, items) => (items as Value[]).map(pythonText).join(text),
  isdigit: isAll(/^\p{Nd}+$/u),
  isalpha: isAll(/^\p{L}+$/u),
  isalnum: isAll(/^[\p{L}\p{N}]+$/u),
  isspace: isAll(new RegExp(`^[${PYTHON_SPACE}]+$`)),
  isupper: (text) => text !== text.toLowerCase() && text === text.toUpperCase(),
  islower: (text) => text !== text.toUpperCase() && text === text.toLowerCase(),
};

/** A method of a string that has to be Python's, null for one that is the package's. */
export function stringMethod(text: string, name: unknown): ((...args: unknown[]) => unknown) | null {
  const method = typeof name === 'string' && Object.hasOwn(STRING_METHODS, name) ? STRING_METHODS[name] : undefined;
  return method === undefined ? null : (...args) => method(text, ...args);
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
};

function isLess(a: Value, b: Value): boolean {
  return isNumber(a) && isNumber(b) ? Number(a.value) < Number(b.value) : pythonText(a) < pythonText(b);
}

type Filter = (value: Value, args: () => Value[]) => Value | null;

const extreme =
  (isBetter: (a: Value, b: Value) => boolean): Filter =>
  (value) =>
    isList(value) && (value.value as Value[]).length > 0
      ? (value.value as Value[]).reduce((best, item) => (isBetter(item, best) ? item : best))
      : null;

const characters = (value: Value): Value[] => Array.from(value.value as string, asValue);

/** A filter of the characters of a text, which the package has for lists only, and not for empty ones. */
const ofCharacters =
  (choose: (all: Value[]) => Value | undefined): Filter =>
  (value) => {
    const isEmpty = isList(value) && (value.value as Value[]).length === 0;
    return value.type === 'StringValue' || isEmpty
      ? (choose(isEmpty ? [] : characters(value)) ?? asValue(undefined))
      : null;
  };

const trim: Filter = (value, args) =>
  asValue(stripped(pythonText(value), args()[0]?.value, { left: true, right: true }));

const length: Filter = (value) => {
  if (value.type === 'UndefinedValue') return asValue(0);
  return value.type === 'StringValue' ? asValue(characters(value).length) : null;
};

const escapeMarkup: Filter = (value) => asValue(pythonText(value).replace(/[&<>'"]/g, (one) => escapes[one] as string));

const FILTERS: Readonly<Record<string, Filter>> = {
  string: (value) => asValue(pythonText(value)),
  trim,
  length,
  count: length,
  escape: escapeMarkup,
  e: escapeMarkup,
  first: ofCharacters((all) => all[0]),
  last: ofCharacters((all) => all.at(-1)),
  list: ofCharacters(listOf),
  reverse: (value) =>
    value.type === 'StringValue' ? asValue(characters(value).reverse().map(pythonText).join('')) : null,
  max: extreme((a, b) => isLess(b, a)),
  min: extreme(isLess),
};

/** A filter that has to be Jinja's; null where it is the package's. */
export function pythonFilter(name: string, value: Value, args: () => Value[]): Value | null {
  return Object.hasOwn(FILTERS, name) ? (FILTERS[name] as Filter)(value, args) : null;
}

/** Filters that make a text of what they get. */
const TEXT_FILTERS = new Set(['upper', 'lower', 'capitalize', 'title', 'replace']);

/** What the package's filter is to work on. */
export function operandOf(name: string, value: Value): Value {
  if (TEXT_FILTERS.has(name) && value.type !== 'StringValue') return asValue(pythonText(value));
  return name === 'join' && isList(value) ? asValue((value.value as Value[]).map(pythonText)) : value;
}
