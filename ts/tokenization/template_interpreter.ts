import { operandOf, pythonFilter, stringMethod } from './template_strings';
import {
  asValue,
  Environment,
  Interpreter,
  isEqual,
  isList,
  listOf,
  pythonText,
  repr,
  type Scope,
  type Statement,
  Template,
  type Value,
} from './template_values';

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

function evaluated(value: Value): Evaluated {
  return { type: 'Evaluated', evaluated: value };
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

interface Filtering extends Statement {
  readonly filter: { value?: unknown; callee?: { value?: unknown }; args?: readonly Statement[] };
  readonly operand: Statement;
}

interface Loop extends Statement {
  readonly body: readonly Statement[];
}

/** `break` or `continue`, on its way to the loop it is in, with what was printed on that way. */
class LoopEnd extends Error {
  printed = '';

  constructor(readonly kind: string) {
    super(`${kind} outside of a loop`);
  }
}

/** The package's interpreter with Python's way to print, compare and join values. */
class PythonInterpreter extends Interpreter {
  /** The loops that are being run, the innermost last. */
  private readonly loops: { readonly body: readonly Statement[]; isBroken: boolean }[] = [];

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
      case 'FilterExpression':
        return this.filter(statement as Filtering, scope);
      case 'MemberExpression': {
        const { object, property, computed } = statement as Statement & {
          object: Statement;
          property: Statement & { value?: unknown };
          computed: boolean;
        };
        const value = this.evaluate(object, scope);
        const method =
          value.type === 'StringValue' && !computed ? stringMethod(value.value as string, property.value) : null;
        if (method !== null) return asValue(method);
        const member = { ...statement, object: evaluated(value) } as Statement;
        if (!computed || property.type === 'SliceExpression') return super.evaluate(member, scope);
        const key = this.evaluate(property, scope);
        // Jinja finds nothing under a key that Python can't look up; JSON has no other keys than texts.
        if (value.type === 'ObjectValue' && key.type !== 'StringValue') return asValue(undefined);
        return super.evaluate({ ...member, property: evaluated(key) } as Statement, scope);
      }
      case 'For':
        return this.loop(statement as Loop, scope);
      case 'Break':
      case 'Continue':
        throw new LoopEnd(statement.type);
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

  private filter(statement: Filtering, scope: Scope): Value {
    const { filter, operand } = statement;
    const name = String(filter.value ?? filter.callee?.value);
    const value = this.evaluate(operand, scope);
    const args = filter.args ?? [];
    const isPlain = args.every(({ type }) => type !== 'KeywordArgumentExpression');
    // The values are asked for only by filters that need them: the package wants to evaluate them itself.
    const own = isPlain ? pythonFilter(name, value, () => args.map((one) => this.evaluate(one, scope))) : null;
    if (own !== null) return own;
    const [first, ...others] = args;
    if (name === 'map' && isPlain && first !== undefined && isList(value)) {
      const called = { type: 'Identifier', value: this.evaluate(first, scope).value };
      const step = others.length > 0 ? { type: 'CallExpression', callee: called, args: others } : called;
      const filtering = (item: Value) => ({ ...statement, filter: step, operand: evaluated(item) }) as Filtering;
      return listOf((value.value as Value[]).map((item) => this.filter(filtering(item), scope)));
    }
    return super.evaluate({ ...statement, operand: evaluated(operandOf(name, value)) } as Statement, scope);
  }

  private loop(statement: Loop, scope: Scope): Value {
    const state = { body: statement.body, isBroken: false };
    this.loops.push(state);
    try {
      return super.evaluate(statement, scope);
    } finally {
      this.loops.pop();
    }
  }

  /** What a block of statements prints. Of a loop's body all that is printed before a `break` or `continue`, too. */
  printed(statements: readonly Statement[], scope: Scope): Value {
    const loop = this.loops.at(-1);
    const isLoop = loop !== undefined && loop.body === statements;
    // The package leaves its loop where the statement is evaluated, and forgets what that turn has printed: so it is told a turn later.
    if (isLoop && loop.isBroken) return super.evaluate({ type: 'Break' }, scope);
    let text = '';
    try {
      for (const statement of statements) {
        const value = this.evaluate(statement, scope);
        const printsNothing =
          STATEMENTS.has(statement.type) && (value.type === 'NullValue' || value.type === 'UndefinedValue');
        if (!printsNothing) text += pythonText(value);
      }
    } catch (error) {
      if (!(error instanceof LoopEnd)) throw error;
      error.printed = text + error.printed;
      if (!isLoop) throw error;
      loop.isBroken = error.kind === 'Break';
      text = error.printed;
    }
    return asValue(text);
  }
}

// The package declares the method private, so it is replaced on the prototype.
Object.defineProperty(PythonInterpreter.prototype, 'evaluateBlock', { value: PythonInterpreter.prototype.printed });

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
