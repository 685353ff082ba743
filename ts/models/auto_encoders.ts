import { checkOptions } from '../binding/options';
import type { Task } from './architecture';
import { type EncoderInputs, type EncoderOutputs, prepareEncoderForward } from './encoder_forward';
import { type DecoderOutputs, type ForwardInputs, prepareForward } from './forward';
import type { HeadDescription } from './head_rows';
import { loadModel } from './load_model';
import type { LoadOptions } from './load_options';
import { configuredPositions, type LoadedModel } from './loaded_model';
import { Model } from './model';
import { type EncoderDecoderOutputs, prepareSeq2SeqForward, type Seq2SeqInputs } from './seq2seq_forward';
import type { Tensor } from './tensor';

/** What a bare encoder gives, or a bare decoder, or a bare encoder-decoder, whose `last_hidden_state` is the decoder's. */
export interface BaseModelOutputs extends EncoderOutputs, DecoderOutputs, EncoderDecoderOutputs {
  /** `[features]`: of the first token, where the model has a pooler, and no sequence begins with padding. */
  readonly pooler_output?: readonly Tensor[];
}

/** What models with labels give besides them: a decoder keeps a cache. */
interface LabelOutputs extends EncoderOutputs, Pick<DecoderOutputs, 'router_logits' | 'past'> {}

/** `[tokens, vocabulary]`, or `[tokens, labels]`; rows are those of `logits_at` where it was given. */
export interface TokenLogitsOutputs extends LabelOutputs {
  readonly logits: readonly Tensor[];
}

/** `[labels]`. */
export interface SequenceLogitsOutputs extends LabelOutputs {
  readonly logits: readonly Tensor[];
}

/** `[tokens]` each. */
export interface SpanOutputs extends EncoderOutputs {
  readonly start_logits: readonly Tensor[];
  readonly end_logits: readonly Tensor[];
}

/** A model that sees a whole sequence at once: token ids in, tensors out. */
export class EncoderModel<Outputs extends EncoderOutputs, Inputs extends EncoderInputs = EncoderInputs> extends Model {
  readonly #head: HeadDescription;

  constructor(loaded: LoadedModel, head: HeadDescription) {
    super(loaded);
    this.#head = head;
  }

  /** Whether `forward` takes `token_type_ids`. */
  get hasTokenTypes(): boolean {
    return encoderOps(this.loaded).some((op) => op.op === 'embedding' && op.index === 'token_type_ids');
  }

  /** Tokens that a sequence may have. */
  get maxTokens(): number {
    const { program, positions } = this.loaded;
    const op = encoderOps(this.loaded).find((one) => one.op === 'embedding' && one.index === 'position_ids');
    const rows = op?.op === 'embedding' ? (program.weights[op.table]?.shape[0] ?? 0) : configuredPositions(this.loaded);
    const [first = 0] = positions?.([-1]) ?? []; // of a token that is no padding
    const skipped = op?.op === 'embedding' ? (op.offset ?? 0) : 0;
    return rows - first - skipped;
  }

  /** Of an encoder-decoder: what its decoder reads where `forward` gets the encoder's ids only; undefined where they must be given. */
  decoderIds(ids: readonly number[]): readonly number[] | undefined {
    return this.loaded.decoderIds?.(ids);
  }

  /**
   * One pass over a ragged batch, off the main thread.
   * @throws OctoformerError INVALID_ARGUMENT, UNKNOWN_OPTION, UNSUPPORTED_OPTION, CONTEXT_OVERFLOW, ABORTED, DISPOSED, OUT_OF_MEMORY
   */
  async forward(inputs: Inputs, options: { readonly signal?: AbortSignal } = {}): Promise<Outputs> {
    const { loaded } = this;
    checkOptions('forward()', options, ['signal']);
    const { request, read } = prepareEncoderForward(inputs, loaded, this.#head);
    // What a head gives is told by its description, one a class below.
    return read(await this.run(request, options.signal)) as EncoderOutputs as Outputs;
  }
}

function encoderOps({ program }: LoadedModel) {
  return (program.encoder ?? program).ops;
}

/** Opens models of one kind. */
export interface AutoEncoder<Outputs extends EncoderOutputs, Inputs extends EncoderInputs = EncoderInputs> {
  /**
   * @param source a folder or a hub id `owner/name`
   * @throws OctoformerError NOT_FOUND, INVALID_CHECKPOINT, MISSING_WEIGHT, SHAPE_MISMATCH, UNSUPPORTED_ARCHITECTURE,
   *   UNKNOWN_OPTION, UNSUPPORTED_OPTION, INVALID_ARGUMENT, DEVICE_UNAVAILABLE, NETWORK, OFFLINE, ABORTED, OUT_OF_MEMORY
   */
  from_pretrained(source: string, options?: LoadOptions): Promise<EncoderModel<Outputs, Inputs>>;
}

function autoEncoder<Outputs extends EncoderOutputs, Inputs extends EncoderInputs = EncoderInputs>(
  name: string,
  task: Task,
  head: HeadDescription,
): AutoEncoder<Outputs, Inputs> {
  return {
    async from_pretrained(source, options = {}) {
      return withHead<Outputs>(await loadModel(`${name}.from_pretrained()`, source, task, options), head);
    },
  };
}

/** A decoder, or an encoder-decoder, that gives hidden states, or labels, but writes nothing. */
class CachedModel<Outputs extends EncoderOutputs> extends EncoderModel<Outputs, BaseModelInputs> {
  readonly #head: HeadDescription;
  readonly #prepare: typeof prepareForward | typeof prepareSeq2SeqForward;

  constructor(loaded: LoadedModel, head: HeadDescription) {
    super(loaded, head);
    this.#head = head;
    this.#prepare = loaded.program.encoder ? prepareSeq2SeqForward : prepareForward;
  }

  override async forward(inputs: BaseModelInputs, options: { readonly signal?: AbortSignal } = {}): Promise<Outputs> {
    checkOptions('forward()', options, ['signal']);
    const { request, read } = this.#prepare(inputs, this.loaded, this.#head, () => this.createCache());
    return read(await this.run(request, options.signal)) as EncoderOutputs as Outputs;
  }
}

/** A model with a head, or with none: of an encoder, a decoder, or an encoder-decoder. */
function withHead<Outputs extends EncoderOutputs>(
  loaded: LoadedModel,
  head: HeadDescription,
): EncoderModel<Outputs, BaseModelInputs> {
  return loaded.program.encoder || isDecoder(loaded)
    ? new CachedModel<Outputs>(loaded, head)
    : new EncoderModel<Outputs, BaseModelInputs>(loaded, head);
}

/** Whether each token sees itself and those before it only, so that keys and values serve what follows, too. */
function isDecoder({ program }: LoadedModel): boolean {
  const attentions = program.ops.filter((op) => op.op === 'attention');
  return attentions.length > 0 && attentions.every(({ pattern }) => pattern.kind === 'causal');
}

/** What `forward` of a model without a head, or with labels, takes: an encoder's inputs, a decoder's, or those of an encoder and a decoder. */
export type BaseModelInputs = EncoderInputs &
  Pick<ForwardInputs, 'output_router_logits'> &
  Omit<Seq2SeqInputs, 'input_ids'>;

/** Opens models without a head: encoders (hidden states, and what a pooler makes of the first one), decoders and encoder-decoders. */
export const AutoModel = autoEncoder<BaseModelOutputs, BaseModelInputs>('AutoModel', 'base', {
  rows: 'first',
  outputs: ['pooler_output'],
  flat: true,
});

/** Opens encoders that guess hidden words. */
export const AutoModelForMaskedLM = autoEncoder<TokenLogitsOutputs>('AutoModelForMaskedLM', 'masked-lm', {
  rows: 'all',
  outputs: ['logits'],
  flat: false,
});

/**
 * Opens models that give a sequence a label: encoders, encoder-decoders, and decoders (reward models, rerankers), which read it off the last
 * token that isn't `pad_token_id`, as Hugging Face's classes do; what an attention mask leaves out is no token.
 */
export const AutoModelForSequenceClassification = autoEncoder<SequenceLogitsOutputs, BaseModelInputs>(
  'AutoModelForSequenceClassification',
  'sequence-classification',
  { rows: 'first', outputs: ['logits'], flat: true },
);

/** Opens encoders and decoders that give each token a label. */
export const AutoModelForTokenClassification = autoEncoder<TokenLogitsOutputs, BaseModelInputs>(
  'AutoModelForTokenClassification',
  'token-classification',
  { rows: 'all', outputs: ['logits'], flat: false },
);

/** Opens encoders that find the answer to a question in a text. */
export const AutoModelForQuestionAnswering = autoEncoder<SpanOutputs>(
  'AutoModelForQuestionAnswering',
  'question-answering',
  { rows: 'all', outputs: ['start_logits', 'end_logits'], flat: true },
);
