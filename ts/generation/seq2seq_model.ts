import { checkOptions } from '../binding/options';
import type { TokenSpan } from '../models/attention_mask';
import { languageModelHead } from '../models/head_rows';
import { loadModel } from '../models/load_model';
import type { LoadOptions } from '../models/load_options';
import { Model } from '../models/model';
import {
  decoderVocabularySize,
  encoderInput,
  prepareSeq2SeqForward,
  type Seq2SeqInputs,
  type Seq2SeqOutputs,
} from '../models/seq2seq_forward';
import type { TokenIds } from '../models/token_ids';
import { type GenerateOutput, runGeneration } from './generate';
import { withGenerationConfig } from './generation_config';
import type { GenerateOptions } from './options';
import { type Seq2SeqGenerateInputs, Seq2SeqRun } from './seq2seq_run';

/** An encoder-decoder that writes text about text: translations, summaries, answers. */
export class Seq2SeqLanguageModel extends Model {
  /** Tokens that the decoder reads and writes. */
  override get vocabularySize(): number {
    return decoderVocabularySize(this.loaded);
  }

  /** Tokens that the encoder reads. */
  get encoderVocabularySize(): number {
    return this.loaded.vocabularySize;
  }

  /** What a run of the binding is given to encode sequences, whose tokens may lie within padding: what generation is made of. */
  encoderInput(input_ids: TokenIds, spans?: readonly TokenSpan[]) {
    return encoderInput({ input_ids }, this.loaded, spans);
  }

  /**
   * One pass of encoder and decoder over a ragged batch, off the main thread.
   * @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION, CONTEXT_OVERFLOW, ABORTED, DISPOSED, OUT_OF_MEMORY
   */
  async forward(inputs: Seq2SeqInputs, options: { readonly signal?: AbortSignal } = {}): Promise<Seq2SeqOutputs> {
    checkOptions('forward()', options, ['signal']);
    const { request, read } = prepareSeq2SeqForward(inputs, this.loaded, languageModelHead, () => this.createCache());
    return { logits: [], ...read(await this.run(request, options.signal)) };
  }

  /**
   * Writes a sequence for each input: greedily, sampled with `do_sample: true`, or by beam search. Sequences begin with the decoder's start
   * token. The inputs are encoded once, whatever the number of beams and returned sequences.
   * @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION, CONTEXT_OVERFLOW, ABORTED, DISPOSED, OUT_OF_MEMORY
   */
  async generate(inputs: Seq2SeqGenerateInputs, options: GenerateOptions = {}): Promise<GenerateOutput> {
    return runGeneration(new Seq2SeqRun(this, inputs, options), options);
  }
}

/** Opens encoder-decoder language models. */
export const AutoModelForSeq2SeqLM = {
  /**
   * @param source a folder or a hub id `owner/name`
   * @throws OctoformerError NOT_FOUND, INVALID_CHECKPOINT, MISSING_WEIGHT, SHAPE_MISMATCH, UNSUPPORTED_ARCHITECTURE,
   *   UNKNOWN_OPTION, UNSUPPORTED_OPTION, INVALID_ARGUMENT, DEVICE_UNAVAILABLE, NETWORK, OFFLINE, ABORTED, OUT_OF_MEMORY
   */
  async from_pretrained(source: string, options: LoadOptions = {}): Promise<Seq2SeqLanguageModel> {
    const loaded = await loadModel('AutoModelForSeq2SeqLM.from_pretrained()', source, 'seq2seq-lm', options);
    return withGenerationConfig(new Seq2SeqLanguageModel(loaded), source);
  },
};
