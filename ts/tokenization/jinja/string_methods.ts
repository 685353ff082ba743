import { PYTHON_SPACE } from '../python_space';
import { formatBraces } from './formatting';
import { type Arguments, bind, iterate, kindOf, sequenceOf, TemplateError, Tuple, trimmed, type Value } from './values';

// Methods of Python's `str`. Places and lengths count characters, not units of UTF-16.

type Method = (self: string, args: Arguments) => Value;

const LINE_ENDS = '\\n\\r\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029';
const lineEnd = new RegExp(`\\r\\n|[${LINE_ENDS}]`);
const lineWithEnd = new RegExp(`[^${LINE_ENDS}]*(?:\\r\\n|[${LINE_ENDS}])|[^${LINE_ENDS}]+`, 'g');

/** `str.strip`: white space, or the given characters, from one end or both. */
export function stripped(
  self: string,
  characters: Value | undefined,
  sides: { left: boolean; right: boolean },
): string {
  if (characters === undefined || characters === null) return trimmed(self, sides);
  const all = Array.from(self);
  const taken = new Set(Array.from(textOf(characters)));
  let [start, end] = [0, all.length];
  if (sides.left) while (start < end && taken.has(all[start] as string)) start++;
  if (sides.right) while (end > start && taken.has(all[end - 1] as string)) end--;
  return all.slice(start, end).join('');
}

export function splitLines(self: string, keepEnds = false): string[] {
  if (keepEnds) return self.match(lineWithEnd) ?? [];
  const lines = self.split(lineEnd);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

export function capitalized(self: string): string {
  const [first = '', ...others] = Array.from(self);
  return first.toUpperCase() + others.join('').toLowerCase();
}

function textOf(value: Value | undefined): string {
  if (typeof value === 'string') return value;
  throw new TemplateError(`a text was expected, not ${value === undefined ? 'nothing' : kindOf(value)}`);
}

function countOf(value: Value | undefined, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

const stripping =
  (name: string, sides: { left: boolean; right: boolean }): Method =>
  (self, args) => {
    const [characters] = bind(name, args, ['chars']);
    return stripped(self, characters, sides);
  };

/** A method of the part between two places, and of where the part begins. */
const within =
  (name: string, work: (part: string, what: Value, start: number) => Value): Method =>
  (self, args) => {
    const [what = null, start, end] = bind(name, args, ['sub', 'start', 'end']);
    const all = Array.from(self);
    const place = (value: Value | undefined, otherwise: number): number => {
      const given = countOf(value, otherwise);
      return Math.min(Math.max(given < 0 ? given + all.length : given, 0), all.length);
    };
    const [from, to] = [place(start, 0), place(end, all.length)];
    return work(all.slice(from, Math.max(from, to)).join(''), what, from);
  };

/** The place of a part; -1 where it is not. */
const finding = (name: string, fromEnd: boolean, mustBe: boolean): Method =>
  within(name, (part, what, start) => {
    const at = fromEnd ? part.lastIndexOf(textOf(what)) : part.indexOf(textOf(what));
    if (at >= 0) return start + Array.from(part.slice(0, at)).length;
    if (mustBe) throw new TemplateError('substring not found');
    return -1;
  });

const oneOf = (name: string, has: (part: string, affix: string) => boolean): Method =>
  within(name, (part, what) => (sequenceOf(what) ?? [what]).some((affix) => has(part, textOf(affix))));

const isAll =
  (pattern: RegExp): Method =>
  (self) =>
    pattern.test(self);

const space = new RegExp(`[${PYTHON_SPACE}]+`);

function split(self: string, separator: Value | undefined, most: number): string[] {
  if (separator !== undefined && separator !== null) {
    const by = textOf(separator);
    if (by === '') throw new TemplateError('empty separator');
    const parts = self.split(by);
    return most < 0 || parts.length <= most + 1 ? parts : [...parts.slice(0, most), parts.slice(most).join(by)];
  }
  const parts: string[] = [];
  let rest = trimmed(self, { right: false });
  while (rest !== '') {
    const found = parts.length === most ? null : space.exec(rest);
    parts.push(found ? rest.slice(0, found.index) : rest);
    rest = found ? rest.slice(found.index + found[0].length) : '';
  }
  return parts;
}

function splitFromEnd(self: string, separator: Value | undefined, most: number): string[] {
  const reversed = (value: string) => Array.from(value).reverse().join('');
  const by = typeof separator === 'string' ? reversed(separator) : separator;
  return split(reversed(self), by, most).map(reversed).reverse();
}

const splitting =
  (name: string, cut: (self: string, separator: Value | undefined, most: number) => string[]): Method =>
  (self, args) => {
    const [separator, most] = bind(name, args, ['sep', 'maxsplit']);
    return cut(self, separator, countOf(most, -1));
  };

const partitioning =
  (name: string, fromEnd: boolean): Method =>
  (self, args) => {
    const separator = textOf(bind(name, args, ['sep'])[0]);
    const at = fromEnd ? self.lastIndexOf(separator) : self.indexOf(separator);
    if (at < 0) return new Tuple(fromEnd ? ['', '', self] : [self, '', '']);
    return new Tuple([self.slice(0, at), separator, self.slice(at + separator.length)]);
  };

const justifying =
  (name: string, place: (missing: number, width: number) => number): Method =>
  (self, args) => {
    const [width, fill = ' '] = bind(name, args, ['width', 'fillchar']);
    const missing = Math.min(Math.max(0, countOf(width, 0) - Array.from(self).length), 10_000);
    const before = place(missing, countOf(width, 0));
    return textOf(fill).repeat(before) + self + textOf(fill).repeat(missing - before);
  };

export function replaced(self: string, from: string, to: string, most: number): string {
  if (most < 0)
    return from === ''
      ? Array.from(self)
          .map((one) => to + one)
          .join('') + to
      : self.split(from).join(to);
  if (from === '') {
    const all = Array.from(self);
    return all.map((one, index) => (index < most ? to + one : one)).join('') + (all.length < most ? to : '');
  }
  return split(self, from, most).join(to);
}

const METHODS: Readonly<Record<string, Method>> = {
  capitalize: capitalized,
  casefold: (self) => self.toLowerCase().replaceAll('ß', 'ss'),
  center: justifying('center', (missing, width) => (missing >> 1) + (missing & width & 1)),
  count: within('count', (part, what) =>
    what === '' ? Array.from(part).length + 1 : part.split(textOf(what)).length - 1,
  ),
  endswith: oneOf('endswith', (part, affix) => part.endsWith(affix)),
  expandtabs: (self, args) =>
    self.replaceAll('\t', ' '.repeat(Math.min(64, countOf(bind('expandtabs', args, ['tabsize'])[0], 8)))),
  find: finding('find', false, false),
  format: (self, { positional, named }) => formatBraces(self, positional, named),
  index: finding('index', false, true),
  isalnum: isAll(/^[\p{L}\p{N}]+$/u),
  isalpha: isAll(/^\p{L}+$/u),
  isascii: isAll(/^[\0-\x7f]*$/),
  isdecimal: isAll(/^\p{Nd}+$/u),
  isdigit: isAll(/^[\p{Nd}\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089]+$/u),
  isidentifier: isAll(/^[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}]*$/u),
  islower: (self) => self !== self.toUpperCase() && self === self.toLowerCase(),
  isnumeric: isAll(/^\p{N}+$/u),
  isprintable: (self) => !/[\p{C}\p{Zl}\p{Zp}]|[^\P{Zs} ]/u.test(self),
  isspace: isAll(new RegExp(`^[${PYTHON_SPACE}]+$`)),
  istitle: (self) => /\p{L}/u.test(self) && self === titled(self),
  isupper: (self) => self !== self.toLowerCase() && self === self.toUpperCase(),
  join: (self, args) =>
    iterate(bind('join', args, ['iterable'])[0] ?? null)
      .map(textOf)
      .join(self),
  ljust: justifying('ljust', () => 0),
  lower: (self) => self.toLowerCase(),
  lstrip: stripping('lstrip', { left: true, right: false }),
  partition: partitioning('partition', false),
  removeprefix: (self, args) => {
    const prefix = textOf(bind('removeprefix', args, ['prefix'])[0]);
    return self.startsWith(prefix) ? self.slice(prefix.length) : self;
  },
  removesuffix: (self, args) => {
    const suffix = textOf(bind('removesuffix', args, ['suffix'])[0]);
    return suffix !== '' && self.endsWith(suffix) ? self.slice(0, -suffix.length) : self;
  },
  replace: (self, args) => {
    const [from, to, count] = bind('replace', args, ['old', 'new', 'count']);
    return replaced(self, textOf(from), textOf(to), countOf(count, -1));
  },
  rfind: finding('rfind', true, false),
  rindex: finding('rindex', true, true),
  rjust: justifying('rjust', (missing) => missing),
  rpartition: partitioning('rpartition', true),
  rsplit: splitting('rsplit', splitFromEnd),
  rstrip: stripping('rstrip', { left: false, right: true }),
  split: splitting('split', split),
  splitlines: (self, args) => splitLines(self, bind('splitlines', args, ['keepends'])[0] === true),
  startswith: oneOf('startswith', (part, affix) => part.startsWith(affix)),
  strip: stripping('strip', { left: true, right: true }),
  swapcase: (self) =>
    Array.from(self, (one) => (one === one.toLowerCase() ? one.toUpperCase() : one.toLowerCase())).join(''),
  title: titled,
  upper: (self) => self.toUpperCase(),
  zfill: (self, args) => {
    const width = Math.min(10_000, countOf(bind('zfill', args, ['width'])[0], 0));
    const sign = /^[+-]?/.exec(self)?.[0] ?? '';
    return sign + self.slice(sign.length).padStart(width - sign.length, '0');
  },
};

function titled(self: string): string {
  return self.replace(/\p{L}+/gu, (word) => capitalized(word));
}

/** A method of a text by its name; undefined where there is none. */
export function stringMethod(self: string, name: string): ((args: Arguments) => Value) | undefined {
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  return method && ((args) => method(self, args));
}
