import { attributeOf, itemOf } from './attributes';
import { formatPercent, toJson } from './formatting';
import { calculate } from './operators';
import { capitalized, replaced, splitLines, stringMethod, stripped } from './string_methods';
import { test } from './tests';
import {
  type Arguments,
  bind,
  compare,
  type Dict,
  Float,
  isDict,
  isEqual,
  isTrue,
  iterate,
  lengthOf,
  numberOf,
  repr,
  sequenceOf,
  TemplateError,
  Tuple,
  text,
  trimmed,
  Undefined,
  type Value,
} from './values';

/** What follows `|`. Of arguments the names are Jinja's. */
type Filter = (value: Value, args: Arguments) => Value;

/** A filter whose arguments have these names. */
function takes(names: readonly string[], work: (value: Value, ...args: (Value | undefined)[]) => Value): Filter {
  return (value, args) => work(value, ...bind('the filter', args, names));
}

const plain = (work: (value: Value) => Value): Filter => takes([], work);

function isGiven(value: Value | undefined): value is Value {
  return value !== undefined && value !== null;
}

function count(value: Value | undefined, otherwise: number): number {
  const number = isGiven(value) ? numberOf(value) : otherwise;
  if (number === undefined) throw new TemplateError(`a number was expected, not ${text(value ?? null)}`);
  return number;
}

/** What a filter sorts or compares by: an attribute, of texts without regard to case. */
function keyBy(attribute: Value | undefined, caseSensitive: boolean, otherwise?: Value): (item: Value) => Value {
  return (item) => {
    const value = isGiven(attribute) ? attributeAt(item, attribute, otherwise) : item;
    return typeof value === 'string' && !caseSensitive ? value.toLowerCase() : value;
  };
}

/** `a.b.0`: attributes of attributes. */
function attributeAt(item: Value, attribute: Value, otherwise?: Value): Value {
  const parts: Value[] =
    typeof attribute === 'string'
      ? attribute.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part))
      : [attribute];
  const found = parts.reduce((value, part) => itemOf(value, part), item);
  return found instanceof Undefined && otherwise !== undefined ? otherwise : found;
}

function sorted(values: readonly Value[], key: (item: Value) => Value, reverse: boolean): Value[] {
  const keyed = values.map((value) => [key(value), value] as const);
  keyed.sort(([a], [b]) => (reverse ? compare(b, a) : compare(a, b)));
  return keyed.map(([, value]) => value);
}

/** Of what is false there are none, whether it can be gone through or not. */
function itemsOf(value: Value): readonly Value[] {
  return isTrue(value) ? iterate(value) : [];
}

/** The items for which a test holds, or does not: `select`, `rejectattr` ... */
const selecting =
  (byAttribute: boolean, wanted: boolean): Filter =>
  (value, { positional }) => {
    const [attribute, rest] = byAttribute ? [positional[0], positional.slice(1)] : [undefined, positional];
    const [name, ...args] = rest;
    return itemsOf(value).filter((item) => {
      const looked = attribute === undefined ? item : attributeAt(item, attribute);
      return (name === undefined ? isTrue(looked) : test(text(name), looked, args)) === wanted;
    });
  };

const extreme = (sign: number): Filter =>
  takes(['case_sensitive', 'attribute'], (value, caseSensitive, attribute) => {
    const key = keyBy(attribute, caseSensitive === true);
    const items = iterate(value);
    if (items.length === 0) return new Undefined('No aggregated item, sequence was empty.');
    return items.reduce((best, item) => (sign * compare(key(item), key(best)) > 0 ? item : best));
  });

const defaulting = takes(['default_value', 'boolean'], (value, otherwise = '', boolean = false) =>
  value instanceof Undefined || (isTrue(boolean) && !isTrue(value)) ? otherwise : value,
);

const markup: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' };
const escaping = plain((value) => text(value).replace(/[&<>'"]/g, (one) => markup[one] as string));

function map(value: Value, args: Arguments): Value {
  const attribute = args.named.get('attribute');
  if (attribute !== undefined)
    return itemsOf(value).map((item) => attributeAt(item, attribute, args.named.get('default')));
  const [name, ...positional] = args.positional;
  if (name === undefined) throw new TemplateError('map requires a filter argument');
  return itemsOf(value).map((item) => filter(text(name), item, { positional, named: args.named }));
}

function indented(value: Value, width: Value = 4, first: Value = false, blank: Value = false): string {
  const by = typeof width === 'string' ? width : ' '.repeat(Math.min(1000, count(width, 4)));
  const lines = splitLines(`${text(value)}\n`);
  const [top = '', ...others] = lines;
  const rest = others.map((line) => (line !== '' || isTrue(blank) ? by + line : line));
  return (isTrue(first) ? by : '') + [top, ...rest].join('\n');
}

function whole(value: Value, otherwise: Value = 0, base: Value = 10): Value {
  const number = typeof value === 'string' ? undefined : numberOf(value);
  if (number !== undefined) return Math.trunc(number);
  if (typeof value !== 'string') return otherwise;
  const plainText = trimmed(value).replaceAll('_', '');
  const digits = count(base, 10) === 16 ? /^[+-]?(0x)?[\da-f]+$/i : /^[+-]?\d+$/;
  if (digits.test(plainText)) return Number.parseInt(plainText, count(base, 10));
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plainText) ? Math.trunc(Number(plainText)) : otherwise;
}

function floating(value: Value, otherwise: Value = new Float(0)): Value {
  if (typeof value !== 'string') {
    const number = numberOf(value);
    return number === undefined ? otherwise : new Float(number);
  }
  const plainText = trimmed(value);
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plainText) ? new Float(Number(plainText)) : otherwise;
}

function rounded(value: Value, precision: Value = 0, method: Value = 'common'): Value {
  const number = count(value, 0);
  const digits = count(precision, 0);
  const scale = 10 ** digits;
  if (method === 'ceil') return new Float(Math.ceil(number * scale) / scale);
  if (method === 'floor') return new Float(Math.floor(number * scale) / scale);
  if (typeof value === 'number' || typeof value === 'boolean') return number;
  return new Float(digits < 0 ? Math.round(number * scale) / scale : roundedHalfEven(number, Math.min(digits, 20)));
}

/** As Python rounds: what the number is exactly decides, and of two that are as near the even one is taken. */
function roundedHalfEven(number: number, digits: number): number {
  const near = number.toFixed(digits);
  const [, kept = '', rest = ''] = /^(.*?)(\d{60})$/.exec(number.toFixed(digits + 60)) ?? [];
  const isTie = /^50*$/.test(rest);
  return Number(isTie && '02468'.includes(kept.replace(/\.$/, '').at(-1) ?? '') ? kept : near);
}

function truncated(
  value: Value,
  length: Value = 255,
  killWords: Value = false,
  end: Value = '...',
  leeway: Value = 5,
): string {
  const all = Array.from(text(value));
  const [most, mark] = [count(length, 255), text(end)];
  if (all.length <= most + count(leeway, 5)) return all.join('');
  const cut = all.slice(0, most - Array.from(mark).length).join('');
  if (isTrue(killWords)) return cut + mark;
  const at = cut.lastIndexOf(' ');
  return (at < 0 ? cut : cut.slice(0, at)) + mark;
}

function jsonOf(value: Value, args: Arguments): Value {
  const [ensureAscii, indent, separators, sortKeys] = bind('tojson', args, [
    'ensure_ascii',
    'indent',
    'separators',
    'sort_keys',
  ]);
  const pair = isGiven(separators) ? sequenceOf(separators) : undefined;
  return toJson(value, {
    ensureAscii: ensureAscii === true,
    indent: !isGiven(indent)
      ? undefined
      : typeof indent === 'string'
        ? indent
        : ' '.repeat(Math.min(100, count(indent, 0))),
    separators: pair ? [text(pair[0] ?? null), text(pair[1] ?? null)] : undefined,
    sortKeys: sortKeys === true,
  });
}

function batches(value: Value, size: Value | undefined, fill: Value | undefined): Value {
  const items = iterate(value);
  const step = Math.max(1, count(size, 1));
  return Array.from({ length: Math.ceil(items.length / step) }, (_, index) => {
    const batch = items.slice(index * step, (index + 1) * step);
    return isGiven(fill) ? [...batch, ...Array<Value>(step - batch.length).fill(fill)] : batch;
  });
}

function groups(
  value: Value,
  attribute: Value | undefined,
  otherwise: Value | undefined,
  caseSensitive: Value | undefined,
): Value {
  const key = keyBy(attribute ?? null, caseSensitive === true, otherwise);
  const found: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(iterate(value), key, false)) {
    const last = found.at(-1);
    if (last && isEqual(key(last.items[0] as Value), key(item))) last.items.push(item);
    else found.push({ key: attributeAt(item, attribute ?? null, otherwise), items: [item] });
  }
  return found.map((group) => new Tuple([group.key, group.items]));
}

function distinct(value: Value, caseSensitive: Value | undefined, attribute: Value | undefined): Value {
  const key = keyBy(attribute, caseSensitive === true);
  const seen: Value[] = [];
  return iterate(value).filter((item) => {
    const own = key(item);
    if (seen.some((one) => isEqual(one, own))) return false;
    seen.push(own);
    return true;
  });
}

function dictSorted(value: Value, caseSensitive: Value | undefined, by: Value = 'key', reverse: Value = false): Value {
  if (!isDict(value)) throw new TemplateError('dictsort works on mappings');
  const entries = [...(value as Dict)].map((entry) => new Tuple(entry));
  const key = keyBy(by === 'value' ? 1 : 0, caseSensitive === true);
  return sorted(entries, key, isTrue(reverse));
}

const FILTERS: Readonly<Record<string, Filter>> = {
  abs: plain((value) => (value instanceof Float ? new Float(Math.abs(value.value)) : Math.abs(count(value, 0)))),
  attr: takes(['name'], (value, name = null) => attributeOf(value, text(name))),
  batch: takes(['linecount', 'fill_with'], batches),
  capitalize: plain((value) => capitalized(text(value))),
  center: (value, args) =>
    stringMethod(text(value), 'center')?.({ ...args, positional: [args.positional[0] ?? 80] }) ?? null,
  count: plain(lengthOf),
  d: defaulting,
  default: defaulting,
  dictsort: takes(['case_sensitive', 'by', 'reverse'], dictSorted),
  e: escaping,
  escape: escaping,
  first: plain((value) => iterate(value)[0] ?? new Undefined('No first item, sequence was empty.')),
  float: takes(['default'], floating),
  forceescape: escaping,
  format: (value, { positional, named }) =>
    formatPercent(text(value), named.size > 0 ? new Map(named) : new Tuple(positional)),
  groupby: takes(['attribute', 'default', 'case_sensitive'], groups),
  indent: takes(['width', 'first', 'blank'], indented),
  int: takes(['default', 'base'], whole),
  items: plain((value) => {
    if (value instanceof Undefined) return [];
    if (!isDict(value)) throw new TemplateError('Can only get item pairs from a mapping.');
    return [...value].map((entry) => new Tuple(entry));
  }),
  join: takes(['d', 'attribute'], (value, separator = '', attribute) =>
    iterate(value)
      .map((item) => text(isGiven(attribute) ? attributeAt(item, attribute) : item))
      .join(text(separator)),
  ),
  last: plain((value) => iterate(value).at(-1) ?? new Undefined('No last item, sequence was empty.')),
  length: plain(lengthOf),
  list: plain((value) => [...iterate(value)]),
  lower: plain((value) => text(value).toLowerCase()),
  map,
  max: extreme(1),
  min: extreme(-1),
  pprint: plain(repr),
  reject: selecting(false, false),
  rejectattr: selecting(true, false),
  replace: takes(['old', 'new', 'count'], (value, from = '', to = '', most) =>
    replaced(text(value), text(from), text(to), count(most, -1)),
  ),
  reverse: plain((value) =>
    typeof value === 'string' ? Array.from(value).reverse().join('') : [...iterate(value)].reverse(),
  ),
  round: takes(['precision', 'method'], rounded),
  safe: plain(text),
  select: selecting(false, true),
  selectattr: selecting(true, true),
  slice: takes(['slices', 'fill_with'], (value, slices, fill) => {
    const items = iterate(value);
    const parts = Math.max(1, count(slices, 1));
    const [each, more] = [Math.floor(items.length / parts), items.length % parts];
    return Array.from({ length: Math.min(parts, 1000) }, (_, index) => {
      const from = index * each + Math.min(index, more);
      const part = items.slice(from, from + each + (index < more ? 1 : 0));
      return isGiven(fill) && more > 0 && index >= more ? [...part, fill] : part;
    });
  }),
  sort: takes(['reverse', 'case_sensitive', 'attribute'], (value, reverse = false, caseSensitive, attribute) => {
    const names = typeof attribute === 'string' ? attribute.split(',') : [];
    const keys = names.length > 1 ? names.map((name) => keyBy(name, caseSensitive === true)) : [];
    const key = keyBy(attribute, caseSensitive === true);
    return sorted(
      iterate(value),
      keys.length > 0 ? (item) => new Tuple(keys.map((one) => one(item))) : key,
      isTrue(reverse),
    );
  }),
  string: plain(text),
  striptags: plain((value) =>
    text(value)
      .replace(/<!--.*?-->|<[^>]*>/gs, '')
      .trim()
      .replace(/\s+/g, ' '),
  ),
  sum: takes(['attribute', 'start'], (value, attribute, start = 0) =>
    iterate(value).reduce<Value>(
      (sum, item) => calculate('+', sum, isGiven(attribute) ? attributeAt(item, attribute) : item),
      start,
    ),
  ),
  title: plain((value) =>
    text(value)
      .split(/([-\s({[<]+)/)
      .map((word) => capitalized(word))
      .join(''),
  ),
  tojson: jsonOf,
  trim: takes(['chars'], (value, characters) => stripped(text(value), characters, { left: true, right: true })),
  truncate: takes(['length', 'killwords', 'end', 'leeway'], truncated),
  unique: takes(['case_sensitive', 'attribute'], distinct),
  upper: plain((value) => text(value).toUpperCase()),
  urlencode: plain((value) => encodeURIComponent(text(value)).replaceAll('%2F', '/')),
  wordcount: plain((value) => text(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
};

/** @throws TemplateError for one that there is not */
export function filter(name: string, value: Value, args: Arguments): Value {
  const found = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  if (!found) throw new TemplateError(`No filter named '${name}'.`);
  return found(value, args);
}
