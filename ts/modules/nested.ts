import type { GraphBuilder } from '../graph/builder';

/** Python's classes of modules, by their path within what is being built, such as `attention.self`. */
export type ModuleKinds = Readonly<Record<string, string>>;

/** Builds a module below others: `attention.self` opens `attention`, and `self` in it. The empty path is the present module. */
export function nested<T>(g: GraphBuilder, path: string, kinds: ModuleKinds, body: () => T): T {
  const names = path === '' ? [] : path.split('.');
  const open = (depth: number): T => {
    const name = names[depth];
    if (name === undefined) return body();
    return g.scope(name, kinds[names.slice(0, depth + 1).join('.')] ?? 'Module', () => open(depth + 1));
  };
  return open(0);
}

/** Builds a module without children by its path: `output.dense` is `dense`, in `output`. */
export function nestedLeaf<T>(g: GraphBuilder, path: string, kinds: ModuleKinds, build: (name: string) => T): T {
  const end = path.lastIndexOf('.');
  return nested(g, path.slice(0, Math.max(end, 0)), kinds, () => build(path.slice(end + 1)));
}
