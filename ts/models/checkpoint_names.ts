import type { NameRule } from '../graph/tensor_table';

/**
 * Names in safetensors files. Files written from a bare model (`LlamaModel`) lack the prefix that the model with its head has;
 * files written from a wrapper may have one more.
 * @param base the prefix without its dot, such as `model`
 */
export function safetensorsNames(base = 'model'): NameRule {
  const prefix = `${base}.`;
  return (name) => [
    { tensor: name },
    ...(name.startsWith(prefix) ? [{ tensor: name.slice(prefix.length) }] : []),
    { tensor: prefix + name },
  ];
}
