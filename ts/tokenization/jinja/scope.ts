import type { Target } from './nodes';
import { isList, iterate, kindOf, Namespace, sequenceOf, TemplateError, Undefined, type Value } from './values';

/** Variables of a block, over those of the blocks around it. */
export class Scope {
  private readonly variables: Map<string, Value>;

  constructor(
    readonly parent?: Scope,
    variables: Iterable<readonly [string, Value]> = [],
  ) {
    this.variables = new Map(variables);
  }

  get(name: string): Value {
    let scope: Scope | undefined = this;
    while (scope) {
      const value = scope.variables.get(name);
      if (value !== undefined) return value;
      scope = scope.parent;
    }
    return new Undefined(`'${name}' is undefined`);
  }

  set(name: string, value: Value): void {
    this.variables.set(name, value);
  }

  assign(target: Target, value: Value): void {
    if (target.kind === 'name') {
      this.set(target.name, value);
      return;
    }
    if (target.kind === 'attribute') {
      const object = this.get(target.object);
      if (!(object instanceof Namespace)) throw new TemplateError('cannot assign attribute on non-namespace object');
      object.attributes.set(target.name, value);
      return;
    }
    const items =
      typeof value === 'string' || isList(value) || sequenceOf(value) || kindOf(value) === 'dict'
        ? iterate(value)
        : undefined;
    if (!items) throw new TemplateError(`cannot unpack non-iterable ${kindOf(value)} object`);
    if (items.length !== target.items.length)
      throw new TemplateError(
        items.length > target.items.length
          ? `too many values to unpack (expected ${target.items.length})`
          : `not enough values to unpack (expected ${target.items.length}, got ${items.length})`,
      );
    for (const [index, inner] of target.items.entries()) this.assign(inner, items[index] as Value);
  }
}
