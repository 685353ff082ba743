import { OctoformerError } from '../binding/error';
import { closest } from '../binding/options';
import type { ActivationName } from '../graph/program';

/** Hugging Face's names (`transformers.activations.ACT2FN`): what the Program calls them, and the class Python prints. */
const activations: Readonly<Record<string, { readonly op: ActivationName; readonly kind: string }>> = {
  linear: { op: 'identity', kind: 'LinearActivation' },
  relu: { op: 'relu', kind: 'ReLU' },
  relu2: { op: 'relu_squared', kind: 'ReLUSquaredActivation' },
  silu: { op: 'silu', kind: 'SiLUActivation' },
  swish: { op: 'silu', kind: 'SiLUActivation' },
  gelu: { op: 'gelu', kind: 'GELUActivation' },
  gelu_python: { op: 'gelu', kind: 'GELUActivation' },
  gelu_new: { op: 'gelu_tanh', kind: 'NewGELUActivation' },
  gelu_fast: { op: 'gelu_tanh', kind: 'FastGELUActivation' },
  gelu_accurate: { op: 'gelu_tanh', kind: 'AccurateGELUActivation' },
  gelu_pytorch_tanh: { op: 'gelu_tanh', kind: 'GELUTanh' },
  quick_gelu: { op: 'gelu_quick', kind: 'QuickGELUActivation' },
  tanh: { op: 'tanh', kind: 'Tanh' },
  sigmoid: { op: 'sigmoid', kind: 'Sigmoid' },
};

/**
 * The op for a name such as `hidden_act` has, and the class that Python prints for it.
 * @throws OctoformerError INVALID_CHECKPOINT naming key and value
 */
export function activationByName(name: string, key = 'hidden_act'): { op: ActivationName; kind: string } {
  const found = Object.hasOwn(activations, name) ? activations[name] : undefined;
  if (found) return found;
  const near = closest(name, Object.keys(activations));
  throw new OctoformerError(
    'INVALID_CHECKPOINT',
    `the configuration's '${key}' is '${name}', an activation function that is not implemented` +
      `${near ? `; did you mean '${near}'?` : `; there are ${Object.keys(activations).join(', ')}`}`,
  );
}
