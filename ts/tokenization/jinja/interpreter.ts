import { attributeOf, itemOf, sliceOf } from './attributes';
import { filter } from './filters';
import { globals } from './globals';
import { Loop } from './loop';
import type { CallArguments, Expression, Parameter, Routine, Statement } from './nodes';
import { calculate, holds } from './operators';
import { parseTemplate } from './parser';
import { Scope } from './scope';
import { test } from './tests';
import {
  type Arguments,
  bind,
  Callable,
  Float,
  fromJavaScript,
  isDict,
  isTrue,
  iterate,
  kindOf,
  numberOf,
  TemplateError,
  Tuple,
  text,
  Undefined,
  type Value,
} from './values';

/** What ends a turn of a loop, or the loop. */
type Jump = 'break' | 'continue' | undefined;

/** Calls within calls, and loops within loops that are recursive: conversations have far fewer. */
const MAX_DEPTH = 200;

/**
 * A Jinja template (version 3.1) in the environment of transformers: sandboxed, blocks trimmed, with `break`, `continue`, `generation`,
 * `raise_exception` and `strftime_now`. Templates of other files (`include`, `extends`) are not known.
 * @throws TemplateError for what is no template
 */
export class Template {
  private readonly body: readonly Statement[];

  constructor(source: string) {
    this.body = parseTemplate(source);
  }

  /** @throws TemplateError what the template complains about, and what is wrong in it */
  render(variables: Readonly<Record<string, unknown>>): string {
    const given = Object.entries(variables).map(([name, value]): [string, Value] => [name, fromJavaScript(value)]);
    const run = new Run();
    run.block(this.body, new Scope(undefined, [...globals(), ...given]));
    return run.text;
  }
}

class Run {
  text = '';
  private depth = 0;

  block(statements: readonly Statement[], scope: Scope): Jump {
    for (const statement of statements) {
      const jump = this.statement(statement, scope);
      if (jump) return jump;
    }
    return undefined;
  }

  /** What a block prints, which is not printed. */
  private captured(statements: readonly Statement[], scope: Scope): string {
    const before = this.text;
    this.text = '';
    this.block(statements, scope);
    const printed = this.text;
    this.text = before;
    return printed;
  }

  private statement(statement: Statement, scope: Scope): Jump {
    switch (statement.kind) {
      case 'text':
        this.text += statement.text;
        return undefined;
      case 'print':
        this.text += text(this.value(statement.expression, scope));
        return undefined;
      case 'if': {
        const branch = statement.branches.find(([condition]) => isTrue(this.value(condition, scope)));
        return this.block(branch ? branch[1] : statement.otherwise, scope);
      }
      case 'for':
        this.loop(statement, scope, this.value(statement.iterable, scope), 0);
        return undefined;
      case 'set':
        scope.assign(statement.target, this.value(statement.value, scope));
        return undefined;
      case 'set-block': {
        const printed = this.captured(statement.body, new Scope(scope));
        scope.assign(statement.target, this.value(statement.filter, scope, printed));
        return undefined;
      }
      case 'with': {
        const inner = new Scope(scope);
        for (const [target, value] of statement.values) inner.assign(target, this.value(value, scope));
        return this.block(statement.body, inner);
      }
      case 'filter': {
        const printed = this.captured(statement.body, new Scope(scope));
        this.text += text(this.value(statement.filter, scope, printed));
        return undefined;
      }
      case 'macro':
        scope.set(statement.routine.name, this.routine(statement.routine, scope));
        return undefined;
      case 'call': {
        if (statement.call.kind !== 'call') return undefined;
        const caller = this.routine(statement.routine, scope);
        const args = this.arguments(statement.call.args, scope);
        const named = new Map([...args.named, ['caller', caller] as const]);
        this.text += text(this.call(this.value(statement.call.callee, scope), { ...args, named }));
        return undefined;
      }
      default:
        return statement.kind;
    }
  }

  private loop(statement: Statement & { kind: 'for' }, scope: Scope, iterable: Value, depth: number): void {
    const { target, test: condition, body } = statement;
    const within = (item: Value): Scope => {
      const inner = new Scope(scope);
      inner.assign(target, item);
      return inner;
    };
    const all = iterate(iterable);
    const items = condition ? all.filter((item) => isTrue(this.value(condition, within(item)))) : all;
    if (items.length === 0) {
      this.block(statement.otherwise, new Scope(scope));
      return;
    }
    const recurse = (inner: Value): Value => {
      const before = this.text;
      this.text = '';
      this.nested(() => this.loop(statement, scope, inner, depth + 1));
      const printed = this.text;
      this.text = before;
      return printed;
    };
    const loop = new Loop(items, depth, statement.isRecursive ? recurse : undefined);
    for (const [at, item] of items.entries()) {
      loop.at = at;
      const inner = within(item);
      inner.set('loop', loop);
      if (this.block(body, inner) === 'break') break;
    }
  }

  /** A macro, or the body of a call block. */
  private routine({ name, parameters, body, reads }: Routine, scope: Scope): Callable {
    return new Callable(name, ({ positional, named }) => {
      const inner = new Scope(scope);
      const others = new Map(named);
      for (const [at, parameter] of parameters.entries()) {
        const given = positional[at] ?? others.get(parameter.name);
        if (at < positional.length && others.has(parameter.name))
          throw new TemplateError(`macro '${name}' got multiple values for argument '${parameter.name}'`);
        others.delete(parameter.name);
        inner.set(parameter.name, given ?? this.otherwise(parameter, inner));
      }
      inner.set('caller', others.get('caller') ?? new Undefined("'caller' is undefined"));
      others.delete('caller');
      const more = positional.slice(parameters.length);
      if (reads.has('varargs')) inner.set('varargs', new Tuple(more));
      else if (more.length > 0)
        throw new TemplateError(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
      if (reads.has('kwargs')) inner.set('kwargs', others);
      else if (others.size > 0)
        throw new TemplateError(`macro '${name}' takes no keyword argument '${[...others.keys()][0]}'`);
      return this.nested(() => this.captured(body, inner));
    });
  }

  private otherwise({ name, otherwise }: Parameter, scope: Scope): Value {
    return otherwise ? this.value(otherwise, scope) : new Undefined(`parameter '${name}' was not provided`);
  }

  private nested<Result>(work: () => Result): Result {
    if (++this.depth > MAX_DEPTH) throw new TemplateError(`more than ${MAX_DEPTH} calls within one another`);
    try {
      return work();
    } finally {
      this.depth--;
    }
  }

  /** @param printed what the block has printed that `filter` and `set` statements are about */
  private value(expression: Expression, scope: Scope, printed = ''): Value {
    const value = (one: Expression): Value => this.value(one, scope, printed);
    switch (expression.kind) {
      case 'constant':
        return expression.value;
      case 'float':
        return new Float(expression.value);
      case 'name':
        return scope.get(expression.name);
      case 'printed':
        return printed;
      case 'list':
        return expression.items.map(value);
      case 'tuple':
        return new Tuple(expression.items.map(value));
      case 'dict':
        return new Map(expression.entries.map(([key, item]) => [value(key), value(item)]));
      case 'attribute':
        return attributeOf(value(expression.object), expression.name);
      case 'item':
        return this.item(expression, value);
      case 'call':
        return this.call(value(expression.callee), this.arguments(expression.args, scope));
      case 'filter':
        return filter(expression.name, value(expression.input), this.arguments(expression.args, scope));
      case 'test':
        return test(expression.name, value(expression.input), this.arguments(expression.args, scope).positional);
      case 'not':
        return !isTrue(value(expression.operand));
      case 'negative':
      case 'positive':
        return signed(expression.kind, value(expression.operand));
      case 'and': {
        const left = value(expression.left);
        return isTrue(left) ? value(expression.right) : left;
      }
      case 'or': {
        const left = value(expression.left);
        return isTrue(left) ? left : value(expression.right);
      }
      case 'binary':
        return this.binary(expression.operator, value(expression.left), value(expression.right));
      case 'join':
        return expression.parts.map((part) => text(value(part))).join('');
      case 'compare': {
        let left = value(expression.first);
        return expression.steps.every(([operator, next]) => {
          const right = value(next);
          const isTrueSoFar = holds(operator, left, right);
          left = right;
          return isTrueSoFar;
        });
      }
      case 'condition':
        if (isTrue(value(expression.test))) return value(expression.then);
        return expression.otherwise
          ? value(expression.otherwise)
          : new Undefined('the inline if-expression evaluated to false and no else section was defined.');
      case 'slice':
        throw new TemplateError('a slice stands in brackets behind a value');
    }
  }

  private binary(operator: string, left: Value, right: Value): Value {
    const isFormat = operator === '%' && typeof left === 'string';
    return calculate(operator, defined(left), isFormat ? right : defined(right));
  }

  private item({ object, key }: Expression & { kind: 'item' }, value: (one: Expression) => Value): Value {
    const of = value(object);
    if (key.kind !== 'slice') return itemOf(of, value(key));
    const part = (one: Expression | undefined): Value => (one ? value(one) : null);
    return sliceOf(of, part(key.start), part(key.stop), part(key.step));
  }

  private arguments({ positional, named, list, dict }: CallArguments, scope: Scope): Arguments {
    const given = positional.map((one) => this.value(one, scope));
    const byName = named.map(([name, one]): [string, Value] => [name, this.value(one, scope)]);
    const more = list ? iterate(this.value(list, scope)) : [];
    const others = dict ? this.value(dict, scope) : new Map<Value, Value>();
    if (!isDict(others)) throw new TemplateError(`argument after ** must be a mapping, not ${kindOf(others)}`);
    const spread = [...others].map(([name, one]): [string, Value] => [text(name), one]);
    return { positional: [...given, ...more], named: new Map([...byName, ...spread]) };
  }

  private call(callee: Value, args: Arguments): Value {
    if (callee instanceof Callable) return callee.call(args);
    if (callee instanceof Undefined) throw new TemplateError(callee.reason);
    if (callee instanceof Loop) {
      if (!callee.recurse)
        throw new TemplateError("the loop is not recursive: it needs the word 'recursive' to be called");
      return callee.recurse(bind('loop', args, ['iterable'])[0] ?? null);
    }
    throw new TemplateError(`'${kindOf(callee)}' object is not callable`);
  }
}

/** @throws TemplateError for what is not there */
function defined(value: Value): Value {
  if (value instanceof Undefined) throw new TemplateError(value.reason);
  return value;
}

function signed(kind: 'negative' | 'positive', value: Value): Value {
  const number = numberOf(defined(value));
  if (number === undefined) throw new TemplateError(`bad operand type for unary operator: '${kindOf(value)}'`);
  const result = kind === 'negative' ? -number : number;
  return value instanceof Float ? new Float(result) : result === 0 ? 0 : result;
}
