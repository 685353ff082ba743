import { OctoformerError } from '../binding/error';
import type { AnyModel } from '../generation/any_model';
import { AutoModelForCausalLM } from '../generation/auto_model';
import { AutoModelForSeq2SeqLM } from '../generation/seq2seq_model';
import { AutoModel } from '../models/auto_encoders';
import { inspectCheckpoint } from '../models/inspect';
import type { LoadOptions } from '../models/load_options';
import { openWithTokenizer } from '../pipelines/open_with_tokenizer';
import type { Tokenizer } from '../tokenization';

/** Opens a model as what its configuration says that it is for (encoders without their heads), and its tokenizer. */
export async function openModel(
  source: string,
  options: LoadOptions,
): Promise<{ readonly model: AnyModel; readonly tokenizer: Tokenizer }> {
  const { revision, gguf_file, signal } = options;
  const { task, obstacle } = await inspectCheckpoint(source, { revision, gguf_file, signal });
  if (task === undefined) throw obstacle ?? new OctoformerError('INTERNAL', `${source} is for nothing`);
  if (task === 'causal-lm') return openWithTokenizer(source, options, AutoModelForCausalLM);
  if (task === 'seq2seq-lm') return openWithTokenizer(source, options, AutoModelForSeq2SeqLM);
  return openWithTokenizer(source, options, AutoModel);
}
