import { OctoformerError } from '../binding/error';
import { checkNumber, describeValue } from '../binding/options';
import { AutoModelForQuestionAnswering, type EncoderModel, type SpanOutputs } from '../models/auto_encoders';
import type { LoadOptions } from '../models/load_options';
import type { TokenizedText, Tokenizer } from '../tokenization';
import { splitOptions } from './default_options';
import {
  callNames,
  checkPipelineOptions,
  type EncoderPipelineOptions,
  longestInput,
  openEncoderPipeline,
  type PipelineParts,
  runBatches,
  softmax,
  textsOf,
} from './encoder_pipeline';

export interface QuestionWithContext {
  readonly question: string;
  readonly context: string;
}

/** Several questions about one context, or each about its own: a list, as `QuestionWithContext[]` is. */
export interface QuestionsWithContext {
  readonly question: readonly string[];
  readonly context: string | readonly string[];
}

export interface Answer {
  readonly score: number;
  /** [start, end) in the context, in UTF-16 units as JavaScript counts. */
  readonly start: number;
  readonly end: number;
  /** That part of the context. */
  readonly answer: string;
}

export interface QuestionAnsweringOptions extends EncoderPipelineOptions {
  /** Answers that are given, best first: 1 by default. */
  readonly top_k?: number;
  /** Tokens of an answer at most; 15 by default. */
  readonly max_answer_len?: number;
  /** Tokens of question and a piece of context together; 384 by default, or what the model takes. */
  readonly max_seq_len?: number;
  /** Tokens that neighbouring pieces of a long context share; 128 by default, or half of `max_seq_len`. */
  readonly doc_stride?: number;
  /** The empty answer may win too. */
  readonly handle_impossible_answer?: boolean;
  /** Widens answers to whole words (true, the default). */
  readonly align_to_words?: boolean;
}

type OneAnswer = QuestionAnsweringOptions & { readonly top_k?: 1 };
type ListOfQuestions = readonly QuestionWithContext[] | QuestionsWithContext;

/** A question answering pipeline: where in the context the answer stands. One answer by itself, several as a list. */
export interface QuestionAnsweringPipeline extends PipelineParts<'question-answering', EncoderModel<SpanOutputs>> {
  (input: QuestionWithContext, options?: OneAnswer): Promise<Answer>;
  (input: QuestionWithContext, options: QuestionAnsweringOptions): Promise<Answer | Answer[]>;
  (input: ListOfQuestions, options?: OneAnswer): Promise<Answer[]>;
  (input: ListOfQuestions, options: QuestionAnsweringOptions): Promise<(Answer | Answer[])[]>;
}

const where = "pipeline('question-answering')";
const names = callNames(
  where,
  ['top_k', 'max_answer_len', 'max_seq_len', 'doc_stride', 'handle_impossible_answer', 'align_to_words'],
  { max_question_len: 'questions are never cut' },
);

export function openQuestionAnswering(
  source: string,
  options: LoadOptions & QuestionAnsweringOptions,
): Promise<QuestionAnsweringPipeline> {
  return openEncoderPipeline<
    QuestionAnsweringPipeline,
    SpanOutputs,
    QuestionWithContext | ListOfQuestions,
    QuestionAnsweringOptions
  >(
    'question-answering',
    AutoModelForQuestionAnswering,
    source,
    splitOptions<QuestionAnsweringOptions>(options, names),
    (model, tokenizer) => async (questioned, given) => {
      const limits = checkLimits(given, model.maxTokens, longestInput(model, tokenizer));
      const input = paired(questioned);
      const questions = isList(input) ? input : [input];
      const windows = questions.flatMap((one, index) => windowsOf(tokenizer, one, index, limits));
      const spans = await runBatches(
        model,
        tokenizer,
        windows.map(({ encoded }) => encoded),
        given,
        ({ start_logits, end_logits }, place, index) =>
          bestSpans(
            tokenizer,
            windows[index] as Window,
            start_logits[place]?.data ?? new Float32Array(),
            end_logits[place]?.data ?? new Float32Array(),
            limits,
          ),
      );
      const answers = questions.map((_, question) =>
        merged(
          spans.filter((__, index) => windows[index]?.question === question),
          given.handle_impossible_answer === true,
          limits.top_k,
        ),
      );
      return isList(input) ? answers : answers[0];
    },
  );
}

/** Questions with their contexts, one by one. @throws OctoformerError INVALID_ARGUMENT where there are as many of neither */
function paired(input: QuestionWithContext | ListOfQuestions): QuestionWithContext | readonly QuestionWithContext[] {
  if (typeof input !== 'object' || input === null || isList(input)) return input;
  const { question: asked, context } = input;
  if (!Array.isArray(asked)) return input as QuestionWithContext;
  const contexts: readonly string[] = Array.isArray(context) ? context : asked.map(() => context as string);
  if (contexts.length === asked.length) {
    return asked.map((question, index) => ({ question, context: contexts[index] ?? '' }));
  }
  throw new OctoformerError(
    'INVALID_ARGUMENT',
    `${where}: there are ${asked.length} questions and ${contexts.length} contexts; give one for all, or one for each`,
  );
}

function isList(input: unknown): input is readonly QuestionWithContext[] {
  return Array.isArray(input);
}

interface Limits {
  readonly top_k: number;
  readonly max_answer_len: number;
  readonly max_seq_len: number;
  readonly doc_stride: number;
  readonly align_to_words: boolean;
}

/**
 * @param possible tokens that the model takes
 * @param longest tokens that it takes by its tokenizer, too: what somebody asks for may be more
 */
function checkLimits(options: QuestionAnsweringOptions, possible: number, longest: number): Limits {
  checkPipelineOptions(names, options);
  const count = (name: 'top_k' | 'max_answer_len' | 'max_seq_len' | 'doc_stride', otherwise: number, least = 1) =>
    checkNumber(where, name, options[name] ?? otherwise, { least, integer: true });
  const max_seq_len = Math.min(count('max_seq_len', Math.min(384, longest)), possible);
  return {
    top_k: count('top_k', 1),
    max_answer_len: count('max_answer_len', 15),
    max_seq_len,
    doc_stride: count('doc_stride', Math.min(Math.floor(max_seq_len / 2), 128), 0),
    align_to_words: options.align_to_words ?? true,
  };
}

/** A question with a piece of its context. */
interface Window {
  readonly question: number;
  readonly context: string;
  readonly encoded: TokenizedText;
  /** Tokens [first, end) are of the context. */
  readonly first: number;
  readonly end: number;
}

function windowsOf(tokenizer: Tokenizer, input: QuestionWithContext, question: number, limits: Limits): Window[] {
  if (typeof input !== 'object' || input === null) {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: an input must be { question, context }, not ${describeValue(input)}`,
    );
  }
  const [asked = '', context = ''] = textsOf(where, [input.question, input.context]);
  if (asked.trim() === '' || context.trim() === '') {
    throw new OctoformerError(
      'INVALID_ARGUMENT',
      `${where}: question and context of input ${question} must not be empty`,
    );
  }
  // As in Python: where padding would stand before the texts, the context comes first.
  const questionFirst = tokenizer.padding_side === 'right';
  const [text, text_pair] = questionFirst ? [asked, context] : [context, asked];
  const encoded = tokenizer.encode(text, {
    text_pair,
    truncation: questionFirst ? 'only_second' : 'only_first',
    max_length: limits.max_seq_len,
    stride: limits.doc_stride,
    return_overflowing_tokens: true,
  });
  return [encoded, ...(encoded.overflowing ?? [])].map((window) => ({
    question,
    context,
    encoded: window,
    ...textRun(window.special_tokens_mask, questionFirst ? 1 : 0),
  }));
}

/** Tokens of the first or second text: those of a run without special tokens. */
function textRun(special: readonly number[], number: number): { readonly first: number; readonly end: number } {
  const firsts = special.flatMap((mask, place) => (mask === 0 && (special[place - 1] ?? 1) === 1 ? [place] : []));
  const first = firsts[number] ?? special.length;
  const end = special.indexOf(1, first);
  return { first, end: end < 0 ? special.length : end };
}

interface Spans {
  readonly answers: readonly Answer[];
  /** The probability of there being no answer. */
  readonly none: number;
}

/**
 * The likeliest spans of a window: the probability of beginning here times that of ending there, both among the context's tokens and the
 * first one, which stands for no answer (Devlin et al. 2018, section 4.3).
 */
function bestSpans(
  tokenizer: Tokenizer,
  window: Window,
  startLogits: Float32Array,
  endLogits: Float32Array,
  limits: Limits,
): Spans {
  const { first, end, encoded } = window;
  const none = tokenizer.cls_token_id === null ? -1 : encoded.input_ids.indexOf(tokenizer.cls_token_id);
  const places = [...(none >= 0 ? [none] : []), ...Array.from({ length: end - first }, (_, place) => first + place)];
  const among = (logits: Float32Array) => softmax(places.map((place) => logits[place] ?? 0));
  const [starts, ends] = [among(startLogits), among(endLogits)];
  const found: { readonly from: number; readonly to: number; readonly score: number }[] = [];
  // As in Python: widened to words, several spans may become one answer.
  const count = limits.align_to_words ? 2 * limits.top_k + 10 : limits.top_k;
  const least = () => (found.length < count ? -1 : (found.at(-1)?.score ?? -1));
  const shift = none >= 0 ? 1 : 0;
  for (let from = shift; from < places.length; from++) {
    for (let to = from; to < Math.min(places.length, from + limits.max_answer_len); to++) {
      const score = (starts[from] ?? 0) * (ends[to] ?? 0);
      if (score <= least()) continue;
      const place = found.findIndex((other) => other.score < score);
      found.splice(place < 0 ? found.length : place, 0, { from: first + from - shift, to: first + to - shift, score });
      found.length = Math.min(found.length, count);
    }
  }
  return {
    none: none >= 0 ? (starts[0] ?? 0) * (ends[0] ?? 0) : 1,
    answers: found.map(({ from, to, score }) => answerOf(window, from, to, score, limits.align_to_words)),
  };
}

function answerOf(
  { context, encoded: { word_ids, offsets }, first, end }: Window,
  from: number,
  to: number,
  score: number,
  align: boolean,
): Answer {
  let [left, right] = [from, to];
  if (align) {
    while (left > first && word_ids[left - 1] === word_ids[left]) left--;
    while (right + 1 < end && word_ids[right + 1] === word_ids[right]) right++;
  }
  const start = offsets[left]?.[0] ?? 0;
  const stop = offsets[right]?.[1] ?? 0;
  return { score, start, end: stop, answer: context.slice(start, stop) };
}

/** The best answers of all windows. As in Python, those that read alike are one, with their scores added up. */
function merged(spans: readonly Spans[], impossible: boolean, count: number): Answer | Answer[] {
  const none = Math.min(...spans.map((span) => span.none));
  const byText = new Map<string, Answer>();
  for (const one of spans.flatMap((span) => span.answers)) {
    const text = one.answer.toLowerCase();
    const known = byText.get(text);
    byText.set(text, known ? { ...known, score: known.score + one.score } : one);
  }
  const answers = [...byText.values(), ...(impossible ? [{ score: none, start: 0, end: 0, answer: '' }] : [])]
    .sort((left, right) => right.score - left.score)
    .slice(0, count);
  const [only] = answers;
  return only && answers.length === 1 ? only : answers;
}
