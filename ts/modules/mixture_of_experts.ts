import type { GraphBuilder } from '../graph/builder';
import type { Value } from '../graph/value';
import type { BuiltWeight } from '../graph/weight_request';
import { activationByName } from './activation';
import { gatedFeedForward } from './feed_forward';
import { linear } from './linear';
import { checkModuleOptions, type OptionKinds } from './module_options';
import { nestedLeaf } from './nested';

/** What the matrices of an expert are called. */
export interface ExpertNames {
  readonly gate: string;
  readonly up: string;
  readonly down: string;
}

/** Tensors below the block, by which matrices of all experts are stacked: `[experts, 2 inner, in]` and `[experts, out, inner]`. */
export interface ExpertStacks {
  /** Of each expert the rows of its gate, then those of up. */
  readonly gateUp: string;
  readonly down: string;
}

/** What transformers 5 has in memory, and writes if asked to keep its own names. */
const ownStacks: ExpertStacks = { gateUp: 'experts.gate_up_proj', down: 'experts.down_proj' };

const gatedNames: ExpertNames = { gate: 'gate_proj', up: 'up_proj', down: 'down_proj' };

export interface MixtureOfExpertsOptions {
  /** Python's classes, for the module tree: of the block, and of one expert. */
  readonly kind?: string;
  readonly expertKind?: string;
  /** How many experts there are, and how many of them work for a token. */
  readonly experts: number;
  readonly chosen: number;
  /** The weights of a token's experts are divided by their sum. */
  readonly normalize?: boolean;
  readonly innerFeatures: number;
  readonly outFeatures: number;
  /** Hugging Face's name, such as `silu`. */
  readonly activation: string;
  /** `gate_proj`, `up_proj` and `down_proj` by default. */
  readonly names?: ExpertNames;
  /** The stacks that all checkpoints of the family have. Where left out, a checkpoint has its experts one by one, or transformers' own stacks. */
  readonly stacks?: ExpertStacks;
  /** The matrix that gives the router's logits; `gate` by default. */
  readonly router?: string;
  /** An expert that works for every token, its result multiplied by the sigmoid of `shared_expert_gate`. */
  readonly shared?: { readonly innerFeatures: number };
  readonly residual?: Value;
}

const optionKinds: OptionKinds<MixtureOfExpertsOptions> = {
  kind: 'text?',
  expertKind: 'text?',
  experts: 'count',
  chosen: 'count',
  normalize: 'flag?',
  innerFeatures: 'count',
  outFeatures: 'count',
  activation: 'text',
  names: 'given?',
  stacks: 'given?',
  router: 'text?',
  shared: 'given?',
  residual: 'given?',
};

/**
 * A feed-forward network for each expert, of which a router (`gate`) chooses some for every token: the sum of their results,
 * each times the router's probability (Shazeer et al. 2017; Jiang et al. 2024, section 2.1). Nothing is computed of experts that no
 * token chose. Experts are stored one by one (`experts.N.gate_proj.weight`) or stacked (`experts.gate_up_proj` [experts, 2 inner, in] and
 * `experts.down_proj` [experts, out, inner]). The router's logits can be asked for as `router_logits.I`, blocks counted in the order of the
 * graph; it is never quantized, for a small error in it would choose other experts.
 */
export function mixtureOfExperts(g: GraphBuilder, name: string, input: Value, options: MixtureOfExpertsOptions): Value {
  checkModuleOptions('nn.mixtureOfExperts()', options, optionKinds);
  const { kind = 'SparseMoeBlock', experts, chosen, normalize = false, innerFeatures, outFeatures, residual } = options;
  const rows = g.rowsOf(input);
  const { op: activation } = activationByName(options.activation);
  return g.scope(name, kind, () => {
    const logits = nestedLeaf(g, options.router ?? 'gate', {}, (leaf) =>
      linear(g, leaf, input, { outFeatures: experts, place: 'float' }),
    );
    g.output(routerOutput(g), logits);
    const numbers = g.buffer(rows, chosen);
    const weights = g.buffer(rows, chosen);
    g.add({ op: 'expert_routing', logits, ...(normalize ? { normalize } : {}), experts: numbers, weights });

    const matrices = expertMatrices(g, input.columns, options);
    const grouped = (from: Value, of: readonly BuiltWeight[], width: number): Value => {
      const out = g.buffer(rows, chosen * width);
      g.add({ op: 'grouped_linear', input: from, experts: numbers, weights: of.map(({ index }) => index), out });
      return out;
    };
    const gate = grouped(input, matrices.gate, innerFeatures);
    const up = grouped(input, matrices.up, innerFeatures);
    g.add({ op: 'gated_activation', gate, up, activation, out: gate });
    const results = grouped(gate, matrices.down, outFeatures);
    const out = g.buffer(rows, outFeatures);
    g.add({ op: 'weighted_sum', input: results, weights, ...(residual ? { residual } : {}), out });
    if (options.shared) addSharedExpert(g, input, out, options.shared.innerFeatures, options);
    return out;
  });
}

function routerOutput(g: GraphBuilder): string {
  let index = 0;
  while (g.outputs.has(`router_logits.${index}`)) index++;
  return `router_logits.${index}`;
}

function addSharedExpert(
  g: GraphBuilder,
  input: Value,
  sum: Value,
  innerFeatures: number,
  { activation, expertKind, outFeatures }: MixtureOfExpertsOptions,
): void {
  const kind = expertKind === undefined ? {} : { kind: expertKind };
  const shared = gatedFeedForward(g, 'shared_expert', input, { ...kind, innerFeatures, outFeatures, activation });
  const gate = linear(g, 'shared_expert_gate', input, { outFeatures: 1, activation: 'sigmoid', place: 'float' });
  g.add({ op: 'weighted_sum', input: shared, weights: gate, residual: sum, out: sum });
}

interface ExpertMatrices {
  readonly gate: readonly BuiltWeight[];
  readonly up: readonly BuiltWeight[];
  readonly down: readonly BuiltWeight[];
}

/** One matrix an expert of each kind, however the checkpoint keeps them. */
function expertMatrices(g: GraphBuilder, inFeatures: number, options: MixtureOfExpertsOptions): ExpertMatrices {
  const stacks = options.stacks ?? (g.hasTensor(g.pathOf(ownStacks.gateUp)) ? ownStacks : undefined);
  return stacks ? stackedMatrices(g, inFeatures, stacks, options) : separateMatrices(g, inFeatures, options);
}

function separateMatrices(
  g: GraphBuilder,
  inFeatures: number,
  { experts, innerFeatures, outFeatures, names = gatedNames, expertKind = 'MLP', activation }: MixtureOfExpertsOptions,
): ExpertMatrices {
  const found = { gate: [] as BuiltWeight[], up: [] as BuiltWeight[], down: [] as BuiltWeight[] };
  const add = (to: BuiltWeight[], name: string, out: number, into: number) => {
    const path = g.pathOf(name);
    const label = `${path}.weight`;
    const weight = g.matrix(label, [{ name: label, shape: [out, into] }], g.keeping(path, 'layer', label));
    to.push(weight);
    const parameters = weight.parameters.map((parameter) => ({ name: 'weight', ...parameter }));
    g.leaf(name, 'Linear', `in_features=${into}, out_features=${out}, bias=False`, parameters);
  };
  g.scope('experts', 'ModuleList', () => {
    for (let expert = 0; expert < experts; expert++) {
      g.scope(String(expert), expertKind, () => {
        add(found.gate, names.gate, innerFeatures, inFeatures);
        add(found.up, names.up, innerFeatures, inFeatures);
        add(found.down, names.down, outFeatures, innerFeatures);
        g.leaf('act_fn', activationByName(activation).kind, '');
      });
    }
  });
  return found;
}

function stackedMatrices(
  g: GraphBuilder,
  inFeatures: number,
  stacks: ExpertStacks,
  { experts, innerFeatures, outFeatures, activation }: MixtureOfExpertsOptions,
): ExpertMatrices {
  const matrices = (name: string, shape: readonly number[], count: number, first: (expert: number) => number) => {
    const path = g.pathOf(name);
    const part = (expert: number) => [{ name: path, shape, rows: { take_rows: { first: first(expert), count } } }];
    return Array.from({ length: experts }, (_, expert) => g.matrix(path, part(expert), g.keeping(path, 'layer', path)));
  };
  const both = [experts, 2 * innerFeatures, inFeatures];
  const found = {
    gate: matrices(stacks.gateUp, both, innerFeatures, (expert) => 2 * expert * innerFeatures),
    up: matrices(stacks.gateUp, both, innerFeatures, (expert) => (2 * expert + 1) * innerFeatures),
    down: matrices(stacks.down, [experts, outFeatures, innerFeatures], outFeatures, (expert) => expert * outFeatures),
  };
  const kinds = { experts: 'Experts' };
  for (const [name, [weight]] of [[stacks.gateUp, found.gate] as const, [stacks.down, found.down] as const]) {
    nestedLeaf(g, name, kinds, (leaf) => {
      const parameters = (weight?.parameters ?? []).map((parameter) => ({ name: leaf, ...parameter }));
      g.leaf(leaf, 'Parameter', '', parameters);
    });
  }
  nestedLeaf(g, stacks === ownStacks ? 'experts.act_fn' : 'activation', kinds, (leaf) =>
    g.leaf(leaf, activationByName(activation).kind, ''),
  );
  return found;
}
