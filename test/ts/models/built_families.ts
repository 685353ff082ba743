import type { NativeTensorInfo } from '../../../ts/binding/native';
import type { AttentionOp } from '../../../ts/graph/attention_ops';
import { GraphBuilder } from '../../../ts/graph/builder';
import { describeModules } from '../../../ts/graph/module_tree';
import type { Op, Program, RopeOp } from '../../../ts/graph/program';
import { type FoundTensor, TensorTable } from '../../../ts/graph/tensor_table';
import type { ConfigValues } from '../../../ts/models/config';
import { findArchitecture } from '../../../ts/models/registry';
import { floatKeeping } from '../../../ts/quantization/float_policy';

/** A checkpoint that has whatever is asked for: here only the graph is looked at. */
export class AnyTensor extends TensorTable {
  constructor() {
    super([]);
  }
  override require(name: string, shape: readonly number[]): FoundTensor {
    const info: NativeTensorInfo = { name, dtype: 'F32', shape, bytes: 0, file: 'any' };
    return { tensor: name, info };
  }
}

export const small = {
  hidden_size: 32,
  intermediate_size: 40,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 50,
};

/** The Program of a configuration, and its modules as text. */
export function buildOnly(values: ConfigValues): { program: Program; text: string } {
  const { architecture, config, family } = findArchitecture(values, 'config.json', 'causal-lm');
  const g = new GraphBuilder(new AnyTensor(), { keeping: () => floatKeeping('auto') }, `${family}ForCausalLM`);
  architecture.build(config, g, 'causal-lm');
  return { program: g.lower(), text: describeModules(g.modules) };
}

/** The same with sizes. */
export const build = (values: ConfigValues) => buildOnly({ ...small, ...values });

export const attentions = (program: Program) => program.ops.filter((op): op is AttentionOp => op.op === 'attention');
export const windows = (values: ConfigValues) => attentions(build(values).program).map((op) => op.pattern.window);
export const tensors = (program: Program) =>
  program.weights.flatMap((weight) => weight.parts.map((part) => part.tensor));
export const isRope = (op: Op): op is RopeOp => op.op === 'rope';
