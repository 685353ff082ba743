import type { Token, TokenKind } from './lexer';
import type { CallArguments, Expression } from './nodes';
import { TemplateError } from './values';

const noArguments: CallArguments = { positional: [], named: [] };

/** Words that end an expression where a test might take its argument without brackets. */
const notOperands = new Set(['else', 'or', 'and', 'is', 'in', 'if', 'not']);

/** How tokens that are no words are called in messages. */
const shown: Readonly<Partial<Record<TokenKind, string>>> = {
  text: 'text',
  begin: "'{%'",
  end: "'%}'",
  open: "'{{'",
  close: "'}}'",
};

/** Jinja's grammar of expressions (its `parser.py`), from what binds least down to names and numbers. */
export class ExpressionParser {
  private at = 0;
  /** Names that were read, by the routines that are being parsed. */
  protected readonly reads: Set<string>[] = [];

  constructor(private readonly tokens: readonly Token[]) {}

  protected get token(): Token | undefined {
    return this.tokens[this.at];
  }

  protected next(): Token {
    const token = this.tokens[this.at++];
    if (!token) throw new TemplateError('unexpected end of template');
    return token;
  }

  protected is(kind: TokenKind, value?: string, ahead = 0): boolean {
    const token = this.tokens[this.at + ahead];
    return token?.kind === kind && (value === undefined || token.value === value);
  }

  protected skip(kind: TokenKind, value?: string): boolean {
    if (!this.is(kind, value)) return false;
    this.at++;
    return true;
  }

  protected expect(kind: TokenKind, value?: string): Token {
    if (this.is(kind, value)) return this.next();
    throw this.fail(`expected ${value === undefined ? (shown[kind] ?? `a ${kind}`) : `'${value}'`}`);
  }

  protected fail(problem: string): TemplateError {
    const token = this.token;
    const found = token ? `${shown[token.kind] ?? `'${token.value}'`} (line ${token.line})` : 'the end of the template';
    return new TemplateError(`${problem}, got ${found}`);
  }

  protected expression(withCondition = true): Expression {
    return withCondition ? this.condition() : this.or();
  }

  /** One expression, or several with commas between, which are a tuple. */
  protected tuple(withCondition = true, isEnd: () => boolean = () => false, isBracketed = false): Expression {
    const items: Expression[] = [];
    let isTuple = false;
    const ended = () => this.is('end') || this.is('close') || this.is('operator', ')') || isEnd();
    while (!ended()) {
      items.push(this.expression(withCondition));
      if (!this.skip('operator', ',')) break;
      isTuple = true;
    }
    const [only] = items;
    if (!isTuple && only) return only;
    if (items.length === 0 && !isBracketed) throw this.fail('expected an expression');
    return { kind: 'tuple', items };
  }

  private condition(): Expression {
    let then = this.or();
    while (this.skip('name', 'if')) {
      const test = this.or();
      const otherwise = this.skip('name', 'else') ? this.condition() : undefined;
      then = { kind: 'condition', test, then, ...(otherwise ? { otherwise } : {}) };
    }
    return then;
  }

  private or(): Expression {
    let left = this.and();
    while (this.skip('name', 'or')) left = { kind: 'or', left, right: this.and() };
    return left;
  }

  private and(): Expression {
    let left = this.not();
    while (this.skip('name', 'and')) left = { kind: 'and', left, right: this.not() };
    return left;
  }

  private not(): Expression {
    return this.skip('name', 'not') ? { kind: 'not', operand: this.not() } : this.comparison();
  }

  private comparison(): Expression {
    const first = this.sum();
    const steps: [string, Expression][] = [];
    for (;;) {
      const operator = this.comparator();
      if (operator === undefined) break;
      steps.push([operator, this.sum()]);
    }
    return steps.length === 0 ? first : { kind: 'compare', first, steps };
  }

  private comparator(): string | undefined {
    if (this.skip('name', 'in')) return 'in';
    if (this.is('name', 'not') && this.is('name', 'in', 1)) {
      this.at += 2;
      return 'not in';
    }
    const operator = ['==', '!=', '<=', '>=', '<', '>'].find((one) => this.is('operator', one));
    if (operator !== undefined) this.at++;
    return operator;
  }

  private sum(): Expression {
    return this.binary(['+', '-'], () => this.joined());
  }

  private joined(): Expression {
    const parts = [this.product()];
    while (this.skip('operator', '~')) parts.push(this.product());
    return parts.length === 1 ? (parts[0] as Expression) : { kind: 'join', parts };
  }

  private product(): Expression {
    return this.binary(['*', '/', '//', '%'], () => this.power());
  }

  /** Left-associative, unlike Python's. */
  private power(): Expression {
    return this.binary(['**'], () => this.unary());
  }

  private binary(operators: readonly string[], operand: () => Expression): Expression {
    let left = operand();
    for (;;) {
      const operator = operators.find((one) => this.is('operator', one));
      if (operator === undefined) return left;
      this.at++;
      left = { kind: 'binary', operator, left, right: operand() };
    }
  }

  private unary(withFilters = true): Expression {
    const signed = (kind: 'negative' | 'positive'): Expression => ({ kind, operand: this.unary(false) });
    let expression: Expression;
    if (this.skip('operator', '-')) expression = signed('negative');
    else if (this.skip('operator', '+')) expression = signed('positive');
    else expression = this.primary();
    expression = this.postfix(expression);
    return withFilters ? this.filters(expression) : expression;
  }

  private primary(): Expression {
    const token = this.next();
    switch (token.kind) {
      case 'name':
        return this.named(token.value);
      case 'string': {
        let value = token.value;
        while (this.is('string')) value += this.next().value;
        return { kind: 'constant', value };
      }
      case 'integer':
        return { kind: 'constant', value: Number(token.value.replaceAll('_', '')) };
      case 'float':
        return { kind: 'float', value: Number(token.value.replaceAll('_', '')) };
    }
    if (token.kind === 'operator' && token.value === '(') {
      const inner = this.tuple(true, () => false, true);
      this.expect('operator', ')');
      return inner;
    }
    if (token.kind === 'operator' && token.value === '[') {
      return { kind: 'list', items: this.listed(']', () => this.expression()) };
    }
    if (token.kind === 'operator' && token.value === '{') {
      const entries = this.listed('}', (): readonly [Expression, Expression] => {
        const key = this.expression();
        this.expect('operator', ':');
        return [key, this.expression()];
      });
      return { kind: 'dict', entries };
    }
    this.at--;
    throw this.fail('expected an expression');
  }

  private named(name: string): Expression {
    if (/^[tT]rue$/.test(name)) return { kind: 'constant', value: true };
    if (/^[fF]alse$/.test(name)) return { kind: 'constant', value: false };
    if (/^[nN]one$/.test(name)) return { kind: 'constant', value: null };
    for (const names of this.reads) names.add(name);
    return { kind: 'name', name };
  }

  private listed<Item>(end: string, read: () => Item): Item[] {
    const items: Item[] = [];
    while (!this.skip('operator', end)) {
      if (items.length > 0) {
        this.expect('operator', ',');
        if (this.skip('operator', end)) break;
      }
      items.push(read());
    }
    return items;
  }

  private postfix(given: Expression): Expression {
    let expression = given;
    for (;;) {
      if (this.skip('operator', '.')) expression = this.attribute(expression);
      else if (this.skip('operator', '[')) {
        const keys = this.listed(']', () => this.subscript());
        const [only] = keys;
        if (!only) throw this.fail('expected a key');
        expression = {
          kind: 'item',
          object: expression,
          key: keys.length === 1 ? only : { kind: 'tuple', items: keys },
        };
      } else if (this.is('operator', '('))
        expression = { kind: 'call', callee: expression, args: this.callArguments() };
      else return expression;
    }
  }

  private attribute(object: Expression): Expression {
    const token = this.next();
    if (token.kind === 'name') return { kind: 'attribute', object, name: token.value };
    if (token.kind === 'integer')
      return { kind: 'item', object, key: { kind: 'constant', value: Number(token.value) } };
    this.at--;
    throw this.fail('expected a name or a number');
  }

  private subscript(): Expression {
    const isEnd = () => this.is('operator', ':') || this.is('operator', ']') || this.is('operator', ',');
    const part = () => (isEnd() ? undefined : this.expression());
    const start = part();
    if (start && !this.is('operator', ':')) return start;
    this.expect('operator', ':');
    const stop = part();
    const step = this.skip('operator', ':') ? part() : undefined;
    return { kind: 'slice', ...(start ? { start } : {}), ...(stop ? { stop } : {}), ...(step ? { step } : {}) };
  }

  protected callArguments(): CallArguments {
    this.expect('operator', '(');
    const positional: Expression[] = [];
    const named: [string, Expression][] = [];
    const spread: { list?: Expression; dict?: Expression } = {};
    this.listed(')', () => {
      if (this.skip('operator', '**')) spread.dict = this.expression();
      else if (this.skip('operator', '*')) spread.list = this.expression();
      else if (this.is('name') && this.is('operator', '=', 1)) {
        const { value } = this.next();
        this.next();
        named.push([value, this.expression()]);
      } else if (named.length > 0 || spread.list || spread.dict)
        throw this.fail('invalid syntax for function call expression');
      else positional.push(this.expression());
    });
    return { positional, named, ...spread };
  }

  /** Filters and tests behind an expression, and calls of what they give. */
  protected filters(given: Expression, isBegun = false): Expression {
    let expression = given;
    let isFilter = isBegun;
    for (;;) {
      if (isFilter || this.skip('operator', '|')) {
        isFilter = false;
        const name = this.dotted();
        const args = this.is('operator', '(') ? this.callArguments() : noArguments;
        expression = { kind: 'filter', input: expression, name, args };
      } else if (this.skip('name', 'is')) expression = this.test(expression);
      else if (this.is('operator', '(')) expression = { kind: 'call', callee: expression, args: this.callArguments() };
      else return expression;
    }
  }

  private test(input: Expression): Expression {
    const isNegated = this.skip('name', 'not');
    const name = this.dotted();
    let args = noArguments;
    if (this.is('operator', '(')) args = this.callArguments();
    else if (this.startsOperand()) args = { positional: [this.postfix(this.primary())], named: [] };
    const test: Expression = { kind: 'test', input, name, args };
    return isNegated ? { kind: 'not', operand: test } : test;
  }

  private startsOperand(): boolean {
    const { token } = this;
    if (token?.kind === 'name') return !notOperands.has(token.value);
    if (token?.kind === 'operator') return token.value === '[' || token.value === '{';
    return token?.kind === 'string' || token?.kind === 'integer' || token?.kind === 'float';
  }

  private dotted(): string {
    let { value } = this.expect('name');
    while (this.skip('operator', '.')) value += `.${this.expect('name').value}`;
    return value;
  }
}
