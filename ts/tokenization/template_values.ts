/** The parts of @huggingface/jinja in use. Its own declarations can't be resolved by the compiler: they lack file extensions. */
interface JinjaPackage {
  readonly Environment: new () => Scope;
  readonly Interpreter: new (
    scope: Scope,
  ) => {
    evaluate(statement: Statement | undefined, scope: Scope): Value;
    run(program: Statement): Value;
  };
  readonly Template: new (source: string) => { readonly parsed: Statement };
}

export interface Scope {
  /** Declares a variable and gives it as the interpreter holds it. */
  set(name: string, value: unknown): Value;
}

export interface Value {
  readonly type: string;
  readonly value: unknown;
  toString(): string;
}

export interface Statement {
  readonly type: string;
}

// The package ships CommonJS too, but describes itself as an ECMAScript module only, so it can't be imported statically.
export const { Environment, Interpreter, Template } = require('@huggingface/jinja') as JinjaPackage;

export function asValue(value: unknown): Value {
  return new Environment().set('value', value);
}

/** A list of values that are there already. */
export function listOf(values: readonly Value[]): Value {
  const list = asValue([]);
  (list.value as Value[]).push(...values);
  return list;
}

/** Python's `repr` of a float. */
function floatText(value: number): string {
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
function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = '';
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (character === '\\' || character === quote) out += `\\${character}`;
    else if (character === '\n') out += '\\n';
    else if (character === '\r') out += '\\r';
    else if (character === '\t') out += '\\t';
    else if (character !== ' ' && unprintable.test(character)) out += escaped(code);
    else out += character;
  }
  return quote + out + quote;
}

export function repr(value: Value): string {
  switch (value.type) {
    case 'StringValue':
      return quoted(value.value as string);
    case 'UndefinedValue':
      return 'Undefined';
    default:
      return pythonText(value);
  }
}

/** Python's `str` of a value, which is what a template prints. */
export function pythonText(value: Value): string {
  switch (value.type) {
    case 'StringValue':
      return value.value as string;
    case 'BooleanValue':
      return value.value ? 'True' : 'False';
    case 'NullValue':
      return 'None';
    case 'UndefinedValue':
      return '';
    case 'FloatValue':
      return floatText(value.value as number);
    case 'ArrayValue':
      return `[${(value.value as Value[]).map(repr).join(', ')}]`;
    case 'TupleValue': {
      const items = (value.value as Value[]).map(repr);
      return items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`;
    }
    case 'ObjectValue':
      return `{${[...(value.value as Map<string, Value>)].map(([key, item]) => `${quoted(key)}: ${repr(item)}`).join(', ')}}`;
    default:
      return value.toString();
  }
}

export const isNumber = (value: Value): boolean => ['IntegerValue', 'FloatValue', 'BooleanValue'].includes(value.type);
export const isList = (value: Value): boolean => value.type === 'ArrayValue' || value.type === 'TupleValue';

/** Python's `==`: by value, numbers and truth values among each other, never between other types. */
export function isEqual(left: Value, right: Value): boolean {
  if (isNumber(left) && isNumber(right)) return Number(left.value) === Number(right.value);
  if (left.type !== right.type) return false;
  if (isList(left)) {
    const [a, b] = [left.value as Value[], right.value as Value[]];
    return a.length === b.length && a.every((item, i) => isEqual(item, b[i] as Value));
  }
  if (left.type === 'ObjectValue') {
    const [a, b] = [left.value as Map<string, Value>, right.value as Map<string, Value>];
    return a.size === b.size && [...a].every(([key, item]) => b.has(key) && isEqual(item, b.get(key) as Value));
  }
  return left.type === 'NullValue' || left.type === 'UndefinedValue' || left.value === right.value;
}
