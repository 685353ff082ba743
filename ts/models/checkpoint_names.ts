import type { NameRule } from '../graph/tensor_table';

/**
 * Names in safetensors files. Files written from a bare model (`LlamaModel`) lack the prefix `model.` that the model with its head has;
 * files written from a wrapper may have one more.
 */
export const safetensorsNames: NameRule = (name) => [
  { tensor: name },
  ...(name.startsWith('model.') ? [{ tensor: name.slice('model.'.length) }] : []),
  { tensor: `model.${name}` },
];
