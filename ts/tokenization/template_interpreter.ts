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

interface Scope {
  /** Declares a variable and gives it as the interpreter holds it. */
  set(name: string, value: unknown): Value;
}

interface Value {
  readonly type: string;
  readonly value: unknown;
  toString(): string;
}

interface Statement {
  readonly type: string;
}

// The package ships CommonJS too, but describes itself as an ECMAScript module only, so it can't be imported statically.
const { Environment, Interpreter, Template } = require('@huggingface/jinja') as JinjaPackage;

/** Nodes that print nothing themselves, or whose value is text already. */
const STATEMENTS = new Set([
  'Program',
  'Set',
  'If',
  'For',
  'Macro',
  'CallStatement',
  'FilterStatement',
  'Break',
  'Continue',
  'Comment',
]);

interface Operation extends Statement {
  readonly operator: { readonly value: string };
  readonly left: Statement;
  readonly right: Statement;
}

/** A value in the place of an expression: what was evaluated once is not evaluated again. */
interface Evaluated extends Statement {
  readonly evaluated: Value;
}

function asValue(value: unknown): Value {
  return new Environment().set('value', value);
}

function evaluated(value: Value): Evaluated {
  return { type: 'Evaluated', evaluated: value };
}

/** Python's `repr` of a float. */
function floatText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude >= 1e16 || magnitude < 1e-4))
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  return Number.isInteger(value) ? `${value}.0` : String(value);
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
    else if (code < 0x20 || (code >= 0x7f && code < 0xa1)) out += `\\x${code.toString(16).padStart(2, '0')}`;
    else out += character;
  }
  return quote + out + quote;
}

function repr(value: Value): string {
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
function pythonText(value: Value): string {
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

const isNumber = (value: Value): boolean => ['IntegerValue', 'FloatValue', 'BooleanValue'].includes(value.type);
const isList = (value: Value): boolean => value.type === 'ArrayValue' || value.type === 'TupleValue';

/** Python's `==`: by value, numbers and truth values among each other, never between other types. */
function isEqual(left: Value, right: Value): boolean {
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

function isMember(item: Value, container: Value): boolean | null {
  if (isList(container)) return (container.value as Value[]).some((other) => isEqual(item, other));
  if (container.type === 'ObjectValue')
    return item.type === 'StringValue' && (container.value as Map<string, Value>).has(item.value as string);
  return null;
}

/** What Python gives where the package does not give the same; null leaves the operation to the package. */
function operate(operator: string, left: Value, right: Value): Value | null {
  switch (operator) {
    case '==':
      return asValue(isEqual(left, right));
    case '!=':
      return asValue(!isEqual(left, right));
    case '~':
      return asValue(pythonText(left) + pythonText(right));
    case 'in':
    case 'not in': {
      const found = isMember(left, right);
      return found === null ? null : asValue(found === (operator === 'in'));
    }
  }
  if (left.type === 'StringValue' && right.type === 'StringValue') {
    const [a, b] = [left.value as string, right.value as string];
    if (operator === '<') return asValue(a < b);
    if (operator === '>') return asValue(a > b);
    if (operator === '<=') return asValue(a <= b);
    if (operator === '>=') return asValue(a >= b);
  }
  if (operator === '*' && left.type === 'StringValue' && right.type === 'IntegerValue')
    return asValue((left.value as string).repeat(Math.max(0, right.value as number)));
  if (operator === '%' && left.type === 'IntegerValue' && right.type === 'IntegerValue' && right.value !== 0) {
    const [a, b] = [left.value as number, right.value as number];
    return asValue(((a % b) + b) % b);
  }
  if (operator === '+' && (left.type === 'StringValue') !== (right.type === 'StringValue'))
    throw new TypeError(`can only concatenate strings to strings: ${repr(left)} + ${repr(right)}`);
  return null;
}

/** The package's interpreter with Python's way to print, compare and join values. */
class PythonInterpreter extends Interpreter {
  override evaluate(statement: Statement | undefined, scope: Scope): Value {
    if (statement === undefined) return super.evaluate(statement, scope);
    switch (statement.type) {
      case 'Evaluated':
        return (statement as Evaluated).evaluated;
      case 'BinaryExpression': {
        const { operator, left, right } = statement as Operation;
        if (operator.value === 'and' || operator.value === 'or') return super.evaluate(statement, scope);
        const values = [this.evaluate(left, scope), this.evaluate(right, scope)] as const;
        const result = operate(operator.value, ...values);
        if (result !== null) return result;
        const [first, second] = values;
        return super.evaluate(
          { ...(statement as Operation), left: evaluated(first), right: evaluated(second) } as Operation,
          scope,
        );
      }
      case 'FilterExpression': {
        const { filter, operand } = statement as Statement & {
          filter: { value?: unknown; callee?: { value?: unknown } };
          operand: Statement;
        };
        const value = this.evaluate(operand, scope);
        if (filter.value === 'string') return asValue(pythonText(value));
        const name = filter.value ?? filter.callee?.value;
        const joined = name === 'join' && isList(value) ? asValue((value.value as Value[]).map(pythonText)) : value;
        return super.evaluate({ ...statement, operand: evaluated(joined) } as Statement, scope);
      }
      case 'TestExpression': {
        const { test, operand, negate } = statement as Statement & {
          test: { value: string };
          operand: Statement;
          negate: boolean;
        };
        const value = this.evaluate(operand, scope);
        if (test.value === 'iterable')
          return asValue((isList(value) || ['StringValue', 'ObjectValue'].includes(value.type)) !== negate);
        return super.evaluate({ ...statement, operand: evaluated(value) } as Statement, scope);
      }
      default:
        return super.evaluate(statement, scope);
    }
  }
}

/** What a block of statements prints. The package declares the method private, so it is replaced on the prototype. */
Object.defineProperty(PythonInterpreter.prototype, 'evaluateBlock', {
  value(this: PythonInterpreter, statements: readonly Statement[], scope: Scope): Value {
    let text = '';
    for (const statement of statements) {
      const value = this.evaluate(statement, scope);
      const printsNothing =
        STATEMENTS.has(statement.type) && (value.type === 'NullValue' || value.type === 'UndefinedValue');
      if (!printsNothing) text += pythonText(value);
    }
    return asValue(text);
  },
});

/** A compiled template. The environment is transformers': blocks are trimmed, loops can be left, `raise_exception`, `strftime_now`. */
export class ChatTemplate {
  private readonly program: Statement;

  constructor(source: string) {
    this.program = new Template(source).parsed;
  }

  render(variables: Readonly<Record<string, unknown>>): string {
    const scope = new Environment();
    const globals: Readonly<Record<string, unknown>> = {
      true: true,
      false: false,
      none: null,
      True: true,
      False: false,
      None: null,
      range: (start: number, stop?: number, step = 1) => range(start, stop, step),
      raise_exception: (message: unknown) => {
        throw new Error(String(message));
      },
      strftime_now: (format: string) => strftime(new Date(), format),
    };
    for (const [name, value] of Object.entries({ ...globals, ...variables })) scope.set(name, value);
    return new PythonInterpreter(scope).run(this.program).value as string;
  }
}

/** More steps than any conversation has turns; a template that asks for more is not worth the memory. */
const MAX_RANGE = 100000;

function range(start: number, stop: number | undefined, step: number): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const count = Math.max(0, Math.ceil((to - from) / step));
  if (!(count <= MAX_RANGE)) throw new RangeError(`range() of ${count} numbers; at most ${MAX_RANGE} are allowed`);
  return Array.from({ length: count }, (_, i) => from + i * step);
}

/** `datetime.strftime` in English, as transformers' `strftime_now` gives it in the C locale. */
function strftime(date: Date, format: string): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const named = (options: Intl.DateTimeFormatOptions): string => new Intl.DateTimeFormat('en-US', options).format(date);
  const startOfYear = Date.UTC(date.getFullYear(), 0, 0);
  const parts: Readonly<Record<string, () => string>> = {
    a: () => named({ weekday: 'short' }),
    A: () => named({ weekday: 'long' }),
    b: () => named({ month: 'short' }),
    B: () => named({ month: 'long' }),
    d: () => two(date.getDate()),
    e: () => String(date.getDate()).padStart(2, ' '),
    H: () => two(date.getHours()),
    I: () => two(date.getHours() % 12 || 12),
    j: () =>
      String((Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - startOfYear) / 86400000).padStart(3, '0'),
    m: () => two(date.getMonth() + 1),
    M: () => two(date.getMinutes()),
    p: () => (date.getHours() < 12 ? 'AM' : 'PM'),
    S: () => two(date.getSeconds()),
    y: () => two(date.getFullYear() % 100),
    Y: () => String(date.getFullYear()),
    '%': () => '%',
  };
  return format.replace(/%(-?)([a-zA-Z%])/g, (whole, bare: string, letter: string) => {
    const text = Object.hasOwn(parts, letter) ? parts[letter]?.() : undefined;
    if (text === undefined) return whole;
    return bare === '-' ? text.replace(/^[0 ]+(?=.)/, '') : text;
  });
}
