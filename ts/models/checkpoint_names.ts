import type { NameRule } from '../graph/tensor_table';

/**
 * Names in safetensors files. Files written from a bare model (`LlamaModel`, `BertModel`) lack the prefix that it has within a model
 * with a head; files written from a wrapper may have one more. Conversions from TensorFlow call the numbers of a layer norm gamma and
 * beta.
 * @param base the prefix without its dot, such as `model` or `bert`
 */
export function safetensorsNames(base = 'model'): NameRule {
  const prefix = `${base}.`;
  return (name) =>
    [name, ...(name.startsWith(prefix) ? [name.slice(prefix.length)] : []), prefix + name]
      .flatMap((one) => [...new Set([one, olderName(one)])])
      .map((tensor) => ({ tensor }));
}

function olderName(name: string): string {
  return name.replace(/LayerNorm\.weight$/, 'LayerNorm.gamma').replace(/LayerNorm\.bias$/, 'LayerNorm.beta');
}
