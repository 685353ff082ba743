import type { NativeTensorInfo } from '../../../ts/binding/native';
import { GraphBuilder } from '../../../ts/graph/builder';
import { type NameRule, TensorTable } from '../../../ts/graph/tensor_table';
import { floatKeeping } from '../../../ts/quantization/float_policy';

/** Headers as a checkpoint of these tensors would have them. */
export function headers(shapes: Readonly<Record<string, readonly number[]>>, dtype = 'F32'): NativeTensorInfo[] {
  return Object.entries(shapes).map(([name, shape]) => ({
    name,
    dtype,
    shape,
    bytes: 4 * shape.reduce((product, size) => product * size, 1),
    file: '/models/tiny/model.safetensors',
  }));
}

/** A builder over such headers, in float32. */
export function builderOver(tensors: readonly NativeTensorInfo[], rule?: NameRule): GraphBuilder {
  return new GraphBuilder(new TensorTable(tensors, rule), { keeping: () => floatKeeping('auto') }, 'TinyForCausalLM');
}
