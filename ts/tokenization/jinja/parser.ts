import { ExpressionParser } from './expression_parser';
import { tokenize } from './lexer';
import type { Expression, Parameter, Routine, Statement, Target } from './nodes';
import { TemplateError } from './values';

/** The statements of a template. @throws TemplateError */
export function parseTemplate(template: string): readonly Statement[] {
  return new Parser(tokenize(template)).template();
}

/** Jinja's grammar of statements, with those of transformers: `break`, `continue` and `generation`. */
class Parser extends ExpressionParser {
  private loops = 0;

  template(): readonly Statement[] {
    const body = this.body([]);
    if (this.token) throw this.fail('expected the end of the template');
    return body;
  }

  /** Statements up to a tag of one of these names, whose name has been read when they end. */
  private body(ends: readonly string[]): Statement[] {
    const statements: Statement[] = [];
    while (this.token) {
      if (this.is('text')) statements.push({ kind: 'text', text: this.next().value });
      else if (this.skip('open')) {
        statements.push({ kind: 'print', expression: this.tuple() });
        this.expect('close');
      } else {
        if (ends.some((end) => this.is('name', end, 1))) {
          this.expect('begin');
          return statements;
        }
        if (!this.is('begin')) throw this.fail('expected a statement');
        statements.push(...this.statement());
      }
    }
    if (ends.length > 0) throw this.fail(`expected '${ends.join("' or '")}'`);
    return statements;
  }

  /** Statements up to the tag that ends them, and that tag. */
  private block(end: string): Statement[] {
    this.expect('end');
    const statements = this.body([end]);
    this.expect('name', end);
    this.expect('end');
    return statements;
  }

  private statement(): Statement[] {
    this.expect('begin');
    const { value: tag } = this.expect('name');
    switch (tag) {
      case 'if':
        return [this.conditional()];
      case 'for':
        return [this.loop()];
      case 'set':
        return [this.assignment()];
      case 'with':
        return [this.with()];
      case 'macro': {
        const { value: name } = this.expect('name');
        return [{ kind: 'macro', routine: this.routine(name, 'endmacro') }];
      }
      case 'call':
        return [this.callBlock()];
      case 'filter': {
        const filter = this.filters({ kind: 'printed' }, true);
        return [{ kind: 'filter', filter, body: this.block('endfilter') }];
      }
      case 'generation':
        // Python notes where it is in the text; it has variables of its own.
        return [{ kind: 'with', values: [], body: this.block('endgeneration') }];
      case 'print': {
        const printed: Statement[] = [];
        do printed.push({ kind: 'print', expression: this.expression() });
        while (this.skip('operator', ','));
        this.expect('end');
        return printed;
      }
      case 'break':
      case 'continue':
        if (this.loops === 0) throw new TemplateError(`'${tag}' outside of a loop`);
        this.expect('end');
        return [{ kind: tag }];
      default:
        throw new TemplateError(
          `unknown tag '${tag}'; there are if, for, set, with, macro, call, filter, print, raw, break, continue and generation`,
        );
    }
  }

  private conditional(): Statement {
    const branches: [Expression, readonly Statement[]][] = [];
    let otherwise: readonly Statement[] = [];
    for (;;) {
      const test = this.tuple(false);
      this.expect('end');
      branches.push([test, this.body(['elif', 'else', 'endif'])]);
      if (this.skip('name', 'elif')) continue;
      if (this.skip('name', 'else')) {
        this.expect('end');
        otherwise = this.body(['endif']);
      }
      this.expect('name', 'endif');
      this.expect('end');
      return { kind: 'if', branches, otherwise };
    }
  }

  private loop(): Statement {
    const target = this.target();
    this.expect('name', 'in');
    const iterable = this.tuple(false, () => this.is('name', 'recursive') || this.is('name', 'if'));
    const test = this.skip('name', 'if') ? this.expression() : undefined;
    const isRecursive = this.skip('name', 'recursive');
    this.expect('end');
    this.loops++;
    const body = this.body(['endfor', 'else']);
    this.loops--;
    let otherwise: readonly Statement[] = [];
    if (this.skip('name', 'else')) {
      this.expect('end');
      otherwise = this.body(['endfor']);
    }
    this.expect('name', 'endfor');
    this.expect('end');
    return { kind: 'for', target, iterable, ...(test ? { test } : {}), isRecursive, body, otherwise };
  }

  private assignment(): Statement {
    const target = this.target(true);
    if (this.skip('operator', '=')) {
      const value = this.tuple();
      this.expect('end');
      return { kind: 'set', target, value };
    }
    const filter = this.filters({ kind: 'printed' });
    return { kind: 'set-block', target, filter, body: this.block('endset') };
  }

  private with(): Statement {
    const values: [Target, Expression][] = [];
    while (!this.is('end')) {
      if (values.length > 0) this.expect('operator', ',');
      const target = this.target();
      this.expect('operator', '=');
      values.push([target, this.expression()]);
    }
    return { kind: 'with', values, body: this.block('endwith') };
  }

  private callBlock(): Statement {
    const parameters = this.is('operator', '(') ? this.parameters() : [];
    const call = this.expression();
    if (call.kind !== 'call') throw this.fail('expected a call');
    return { kind: 'call', call, routine: this.routine('caller', 'endcall', parameters) };
  }

  /** @param given parameters that were read before */
  private routine(name: string, end: string, given?: readonly Parameter[]): Routine {
    const reads = new Set<string>();
    this.reads.push(reads);
    const loops = this.loops;
    this.loops = 0;
    const parameters = given ?? this.parameters();
    const body = this.block(end);
    this.loops = loops;
    this.reads.pop();
    return { name, parameters, body, reads };
  }

  private parameters(): Parameter[] {
    const parameters: Parameter[] = [];
    this.expect('operator', '(');
    while (!this.skip('operator', ')')) {
      if (parameters.length > 0) this.expect('operator', ',');
      const { value: name } = this.expect('name');
      const otherwise = this.skip('operator', '=') ? this.expression() : undefined;
      if (!otherwise && parameters.at(-1)?.otherwise) throw this.fail('non-default argument follows default argument');
      parameters.push({ name, ...(otherwise ? { otherwise } : {}) });
    }
    return parameters;
  }

  /** A name, or several with commas between, in brackets within others. @param withNamespace whether `ns.name` is one, too */
  private target(withNamespace = false): Target {
    const items: Target[] = [];
    let isTuple = false;
    do {
      if (items.length > 0 && !this.is('name') && !this.is('operator', '(')) break;
      items.push(this.oneTarget(withNamespace));
      isTuple ||= this.is('operator', ',');
    } while (this.skip('operator', ','));
    return isTuple ? { kind: 'tuple', items } : (items[0] as Target);
  }

  private oneTarget(withNamespace: boolean): Target {
    if (this.skip('operator', '(')) {
      const inner = this.target(withNamespace);
      this.expect('operator', ')');
      return inner;
    }
    const { value: name } = this.expect('name');
    if (withNamespace && this.skip('operator', '.'))
      return { kind: 'attribute', object: name, name: this.expect('name').value };
    return { kind: 'name', name };
  }
}
