import { checkOptions } from '../binding/options';
import { type ForwardInputs, type ForwardOutputs, prepareForward } from '../models/forward';
import { languageModelHead } from '../models/head_rows';
import { loadModel } from '../models/load_model';
import type { LoadOptions } from '../models/load_options';
import { Model } from '../models/model';
import { type GenerateInputs, type GenerateOutput, generate } from './generate';
import { withGenerationConfig } from './generation_config';
import type { GenerateOptions } from './options';

/** A language model that continues text: `forward` for logits, `generate` for tokens. */
export class CausalLanguageModel extends Model {
  /**
   * One pass over a ragged batch, off the main thread.
   * @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION, ABORTED, DISPOSED, OUT_OF_MEMORY
   */
  async forward(inputs: ForwardInputs, options: { readonly signal?: AbortSignal } = {}): Promise<ForwardOutputs> {
    checkOptions('forward()', options, ['signal']);
    const { request, read } = prepareForward(inputs, this.loaded, languageModelHead, () => this.createCache());
    return read(await this.run(request, options.signal)) as ForwardOutputs;
  }

  /**
   * Continues prompts: greedily, or sampled with `do_sample: true`.
   * @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION, CONTEXT_OVERFLOW, ABORTED, DISPOSED
   */
  generate(inputs: GenerateInputs, options: GenerateOptions = {}): Promise<GenerateOutput> {
    return generate(this, inputs, options);
  }
}

/** Opens decoder-only language models. */
export const AutoModelForCausalLM = {
  /**
   * @param source a folder, a `.gguf` file, or a hub id `owner/name`
   * @throws OctoformerError NOT_FOUND, INVALID_CHECKPOINT, MISSING_WEIGHT, SHAPE_MISMATCH, UNSUPPORTED_ARCHITECTURE,
   *   UNKNOWN_OPTION, UNSUPPORTED_OPTION, INVALID_ARGUMENT, DEVICE_UNAVAILABLE, NETWORK, OFFLINE, ABORTED, OUT_OF_MEMORY
   */
  async from_pretrained(source: string, options: LoadOptions = {}): Promise<CausalLanguageModel> {
    const loaded = await loadModel('AutoModelForCausalLM.from_pretrained()', source, 'causal-lm', options);
    return withGenerationConfig(new CausalLanguageModel(loaded), source);
  },
};
