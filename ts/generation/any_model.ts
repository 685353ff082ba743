import { EncoderModel } from '../models/auto_encoders';
import type { EncoderOutputs } from '../models/encoder_forward';
import { CausalLanguageModel } from './auto_model';
import { Seq2SeqLanguageModel } from './seq2seq_model';

/** A model of any kind: a decoder, an encoder, or an encoder-decoder. */
export type AnyModel = CausalLanguageModel | Seq2SeqLanguageModel | EncoderModel<EncoderOutputs>;

/** Tokens that encoder-decoders write about a text: what their decoders are observed with. */
const writtenTokens = 32;

/** Tokens of a sequence that the model reads at most. */
export function longestSequence(model: AnyModel): number {
  return model instanceof EncoderModel ? model.maxTokens : model.lengthLimits.context;
}

/** Runs a text through all layers of a model; encoder-decoders write something about it. */
export async function readSequence(
  model: AnyModel,
  ids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const inputs = { input_ids: [ids] };
  const options = signal ? { signal } : {};
  if (model instanceof CausalLanguageModel) {
    // The logits of all tokens are the largest thing by far, and of no use here.
    await model.forward({ ...inputs, logits_to_keep: 1 }, options);
  } else if (model instanceof Seq2SeqLanguageModel) {
    await write(model, ids, signal);
  } else {
    await model.forward(inputs, options);
  }
}

/** What an encoder-decoder writes about a text, word by word the likeliest: its ids, the decoder's start token first. */
export async function write(
  model: Seq2SeqLanguageModel,
  ids: readonly number[],
  signal: AbortSignal | undefined,
): Promise<readonly number[]> {
  const { sequences } = await model.generate(
    { input_ids: [ids] },
    { ...(signal ? { signal } : {}), do_sample: false, num_beams: 1, max_new_tokens: writtenTokens },
  );
  return sequences[0] ?? [];
}
