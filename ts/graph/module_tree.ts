/** A parameter of a module: a tensor of the checkpoint, and where the Program keeps it. */
export interface ModuleParameter {
  /** Within the module: `weight` or `bias`. */
  readonly name: string;
  /** The checkpoint's name of the tensor. */
  readonly tensor: string;
  readonly shape: readonly number[];
  /** How the checkpoint stores it, such as `BF16` or `Q4_1`. */
  readonly dtype: string;
  /** Index into the Program's weights; several projections may share one. */
  readonly weight: number;
}

/** A module as Python prints it; the tree exists for people, the Program does not depend on it. */
export interface ModuleNode {
  readonly name: string;
  /** Names from the root, joined by dots; empty for the root. */
  readonly path: string;
  /** Python's class, such as `LlamaAttention`. */
  readonly kind: string;
  /** What Python prints in the parentheses, such as `in_features=64, out_features=64, bias=False`. */
  readonly detail: string;
  readonly parameters: readonly ModuleParameter[];
  readonly children: readonly ModuleNode[];
}

/** The node at a path such as `model.layers.0.self_attn`, or undefined. */
export function findModule(root: ModuleNode, path: string): ModuleNode | undefined {
  let node: ModuleNode | undefined = root;
  for (const name of path === '' ? [] : path.split('.')) {
    node = node?.children.find((child) => child.name === name);
  }
  return node;
}

/** The node and all below it, parents first. */
export function* walkModules(node: ModuleNode): Generator<ModuleNode> {
  yield node;
  for (const child of node.children) yield* walkModules(child);
}

/** The tree as `print(model)` shows it in Python: equal neighbours of a list are shown once, with their count. */
export function describeModules(root: ModuleNode): string {
  return lines(root).join('\n');
}

function lines(node: ModuleNode): string[] {
  if (node.children.length === 0) return [`${node.kind}(${node.detail})`];
  const body: string[] = [];
  for (const { first, last, node: child, text } of runs(node.children)) {
    const count = last - first + 1;
    const label = count > 1 ? `(${first}-${last}): ${count} x ` : `(${child.name}): `;
    body.push(`  ${label}${text[0]}`, ...text.slice(1).map((line) => `  ${line}`));
  }
  return [`${node.kind}(`, ...body, ')'];
}

interface Run {
  readonly first: number;
  last: number;
  readonly node: ModuleNode;
  readonly text: readonly string[];
}

/** Neighbours with numbers for names that print alike, taken together. */
function runs(nodes: readonly ModuleNode[]): Run[] {
  const found: Run[] = [];
  for (const node of nodes) {
    const text = lines(node);
    const previous = found.at(-1);
    const index = Number(node.name);
    if (previous && Number.isInteger(index) && previous.text.join('\n') === text.join('\n')) {
      previous.last = index;
    } else {
      found.push({ first: index, last: index, node, text });
    }
  }
  return found;
}

/** A number as Python prints a float: `1e-06` where JavaScript says 0.000001. */
export function pythonNumber(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-4) return value.toExponential().replace(/e-(\d)$/, 'e-0$1');
  return Number.isInteger(value) && Math.abs(value) < 1e16 ? `${value}.0` : String(value);
}
