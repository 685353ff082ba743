import { type Arguments, Attributed, Callable, isEqual, TemplateError, Undefined, type Value } from './values';

/** The variable `loop` of a `for`. */
export class Loop extends Attributed {
  at = 0;
  private changed: readonly Value[] | undefined;

  /** @param recurse `loop(items)`: runs the same loop over other items; undefined where it is not recursive */
  constructor(
    private readonly items: readonly Value[],
    private readonly depth: number,
    readonly recurse: ((items: Value) => Value) | undefined,
  ) {
    super();
  }

  attribute(name: string): Value | undefined {
    const { at, items, depth } = this;
    switch (name) {
      case 'index':
        return at + 1;
      case 'index0':
        return at;
      case 'revindex':
        return items.length - at;
      case 'revindex0':
        return items.length - at - 1;
      case 'first':
        return at === 0;
      case 'last':
        return at === items.length - 1;
      case 'length':
        return items.length;
      case 'depth':
        return depth + 1;
      case 'depth0':
        return depth;
      case 'previtem':
        return items[at - 1] ?? new Undefined('there is no previous item');
      case 'nextitem':
        return items[at + 1] ?? new Undefined('there is no next item');
      case 'cycle':
        return new Callable(name, ({ positional }) => {
          if (positional.length === 0) throw new TemplateError('no items for cycling given');
          return positional[at % positional.length] as Value;
        });
      case 'changed':
        return new Callable(name, (args) => this.isChanged(args));
      default:
        return undefined;
    }
  }

  private isChanged({ positional }: Arguments): boolean {
    const before = this.changed;
    this.changed = positional;
    return !(
      before &&
      before.length === positional.length &&
      before.every((value, index) => isEqual(value, positional[index] as Value))
    );
  }
}
