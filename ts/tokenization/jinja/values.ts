import { PYTHON_SPACE } from '../python_space';

// Python's values, as templates see them. What JavaScript has no kind of its own for is an object of a class.

/** A number with a point: 1.0 is printed otherwise than 1, which is a plain number here. */
export class Float {
  constructor(readonly value: number) {}
}

export class Tuple {
  constructor(readonly items: readonly Value[]) {}
}

/** What is not there. It is false, empty and prints nothing, but may not be worked with. */
export class Undefined {
  /** @param reason what to say to somebody who works with it */
  constructor(readonly reason: string) {}
}

/** `namespace(...)`: attributes that a template may set from within a loop. */
export class Namespace {
  constructor(readonly attributes: Map<string, Value>) {}
}

/** What a call was given. */
export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

export class Callable {
  constructor(
    readonly name: string,
    readonly call: (args: Arguments) => Value,
  ) {}
}

/** Something with attributes of its own: a loop, a cycler. */
export abstract class Attributed {
  abstract attribute(name: string): Value | undefined;
}

export type Dict = ReadonlyMap<Value, Value>;
export type Value =
  | null
  | boolean
  | number
  | string
  | Float
  | Tuple
  | Undefined
  | Namespace
  | Callable
  | Attributed
  | Dict
  | readonly Value[];

/** A complaint about a template, or one of its own. */
export class TemplateError extends Error {}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isDict(value: Value): value is Dict {
  return value instanceof Map;
}

/** The items of a list or a tuple. */
export function sequenceOf(value: Value): readonly Value[] | undefined {
  if (value instanceof Tuple) return value.items;
  return isList(value) ? value : undefined;
}

/** The number that a value counts as: truth values do, too. */
export function numberOf(value: Value): number | undefined {
  if (value instanceof Float) return value.value;
  if (typeof value === 'boolean') return Number(value);
  return typeof value === 'number' ? value : undefined;
}

/** A plain value of JavaScript, as JSON has them, and functions of such. */
export function fromJavaScript(value: unknown): Value {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isInteger(value) ? value : new Float(value);
    case 'bigint':
      return Number(value);
    case 'undefined':
      return new Undefined('the value is undefined');
    case 'function':
      return new Callable(value.name, ({ positional }) => fromJavaScript(value(...positional.map(toJavaScript))));
    case 'object':
      if (value === null) return null;
      if (Array.isArray(value)) return value.map(fromJavaScript);
      return new Map(
        Object.entries(value)
          .filter(([, item]) => item !== undefined)
          .map(([key, item]) => [key, fromJavaScript(item)]),
      );
    default:
      throw new TemplateError(`a template can't be given a ${typeof value}`);
  }
}

function toJavaScript(value: Value): unknown {
  const items = sequenceOf(value);
  if (items) return items.map(toJavaScript);
  if (value instanceof Float) return value.value;
  if (value instanceof Undefined) return undefined;
  if (isDict(value)) return Object.fromEntries([...value].map(([key, item]) => [text(key), toJavaScript(item)]));
  return value;
}

/** What Python calls the kind of a value. */
export function kindOf(value: Value): string {
  if (value === null) return 'NoneType';
  if (value instanceof Float) return 'float';
  if (value instanceof Tuple) return 'tuple';
  if (value instanceof Undefined) return 'Undefined';
  if (value instanceof Namespace) return 'Namespace';
  if (value instanceof Callable) return 'function';
  if (isList(value)) return 'list';
  if (isDict(value)) return 'dict';
  return { string: 'str', number: 'int', boolean: 'bool' }[typeof value as string] ?? 'object';
}

export function isTrue(value: Value): boolean {
  if (value === null || value instanceof Undefined) return false;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') return value !== '';
  const number = numberOf(value);
  if (number !== undefined) return number !== 0;
  const items = sequenceOf(value);
  if (items) return items.length > 0;
  return isDict(value) ? value.size > 0 : true;
}

/** The items of whatever can be gone through. */
export function iterate(value: Value): readonly Value[] {
  const items = sequenceOf(value);
  if (items) return items;
  if (typeof value === 'string') return Array.from(value);
  if (isDict(value)) return [...value.keys()];
  if (value instanceof Undefined) return [];
  throw new TemplateError(`'${kindOf(value)}' object is not iterable`);
}

/** Python's `==`: by value, numbers and truth values among each other, never between other kinds. */
export function isEqual(left: Value, right: Value): boolean {
  if (left === right) return true;
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined && b !== undefined) return a === b;
  if (left instanceof Undefined) return right instanceof Undefined;
  const [first, second] = [sequenceOf(left), sequenceOf(right)];
  if (first && second)
    return (
      left instanceof Tuple === right instanceof Tuple &&
      first.length === second.length &&
      first.every((item, index) => isEqual(item, second[index] as Value))
    );
  if (isDict(left) && isDict(right))
    return (
      left.size === right.size &&
      [...left].every(([key, item]) => right.has(key) && isEqual(item, right.get(key) as Value))
    );
  return false;
}

/** The order of two values, below, above or 0. Throws where Python has none. */
export function compare(left: Value, right: Value): number {
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a !== undefined && b !== undefined) return a - b;
  if (typeof left === 'string' && typeof right === 'string') return compareTexts(left, right);
  const [first, second] = [sequenceOf(left), sequenceOf(right)];
  if (!first || !second || left instanceof Tuple !== right instanceof Tuple)
    throw new TemplateError(`'<' not supported between instances of '${kindOf(left)}' and '${kindOf(right)}'`);
  for (const [index, item] of first.entries()) {
    if (index >= second.length) return 1;
    if (!isEqual(item, second[index] as Value)) return compare(item, second[index] as Value);
  }
  return first.length - second.length;
}

/** By code points: UTF-16 has those beyond 0xffff below some others. */
function compareTexts(left: string, right: string): number {
  if (left === right) return 0;
  const [a, b] = [Array.from(left), Array.from(right)];
  const at = a.findIndex((character, index) => character !== b[index]);
  if (at < 0) return -1;
  return (a[at]?.codePointAt(0) ?? -1) - (b[at]?.codePointAt(0) ?? -1);
}

/** Python's `repr` of a float. */
function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude >= 1e16 || magnitude < 1e-4))
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

const unprintable = /[\p{C}\p{Z}]/u;

function escaped(code: number): string {
  const digits = code.toString(16);
  if (code <= 0xff) return `\\x${digits.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
}

/** Python's `repr` of a string. */
function quoted(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  let out = '';
  for (const character of value) {
    if (character === '\\' || character === quote) out += `\\${character}`;
    else if (character === '\n') out += '\\n';
    else if (character === '\r') out += '\\r';
    else if (character === '\t') out += '\\t';
    else if (character !== ' ' && unprintable.test(character)) out += escaped(character.codePointAt(0) as number);
    else out += character;
  }
  return quote + out + quote;
}

/** Python's `repr`. */
export function repr(value: Value): string {
  if (typeof value === 'string') return quoted(value);
  return value instanceof Undefined ? 'Undefined' : text(value);
}

/** Python's `str`, which is what a template prints. */
export function text(value: Value): string {
  if (typeof value === 'string') return value;
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : String(BigInt(value));
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Undefined) return '';
  if (value instanceof Tuple)
    return value.items.length === 1 ? `(${repr(value.items[0] as Value)},)` : `(${value.items.map(repr).join(', ')})`;
  if (isList(value)) return `[${value.map(repr).join(', ')}]`;
  if (isDict(value)) return `{${[...value].map(([key, item]) => `${repr(key)}: ${repr(item)}`).join(', ')}}`;
  if (value instanceof Namespace) return `<Namespace ${text(value.attributes)}>`;
  return value instanceof Callable ? `<function ${value.name}>` : '<object>';
}

/** A string's characters, as Python counts them. */
export function lengthOf(value: Value): number {
  if (typeof value === 'string') return Array.from(value).length;
  const items = sequenceOf(value);
  if (items) return items.length;
  if (isDict(value)) return value.size;
  if (value instanceof Undefined) return 0;
  throw new TemplateError(`object of type '${kindOf(value)}' has no len()`);
}

const oneSpace = new RegExp(`^[${PYTHON_SPACE}]$`);

/** A text without Python's white space at an end or at both. */
export function trimmed(value: string, { left = true, right = true } = {}): string {
  // A pattern for the end would go through every run of white space within.
  let [start, end] = [0, value.length];
  if (left) while (start < end && oneSpace.test(value[start] as string)) start++;
  if (right) while (end > start && oneSpace.test(value[end - 1] as string)) end--;
  return value.slice(start, end);
}

/**
 * The arguments of a call under the names that the callee has for them, in its order.
 * @throws TemplateError for more, or for names that it does not have
 */
export function bind(
  callee: string,
  { positional, named }: Arguments,
  names: readonly string[],
): (Value | undefined)[] {
  if (positional.length > names.length)
    throw new TemplateError(`${callee}() takes ${names.length} arguments, not ${positional.length}`);
  const bound: (Value | undefined)[] = names.map((_, index) => positional[index]);
  for (const [name, value] of named) {
    const at = names.indexOf(name);
    if (at < 0) throw new TemplateError(`${callee}() got an unexpected keyword argument '${name}'`);
    if (at < positional.length) throw new TemplateError(`${callee}() got multiple values for argument '${name}'`);
    bound[at] = value;
  }
  return bound;
}
