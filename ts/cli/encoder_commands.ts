import type { PooledFeaturePipeline, Pooling } from '../pipelines/feature_extraction';
import type { FilledMask } from '../pipelines/fill_mask';
import type { TokenClassificationOptions } from '../pipelines/token_classification';
import { type Command, type OptionDescriptions, type ParsedArguments, UsageError } from './command';
import { batchOptions, encodeCommand, score } from './encode_command';
import { defined } from './model_options';

const topK: OptionDescriptions = {
  'top-k': { kind: 'integer', placeholder: 'N', help: 'answers that are shown, best first' },
};

function topKOption(given: ParsedArguments): { top_k?: number } {
  return defined({ top_k: given.number('top-k') });
}

const embed = encodeCommand({
  name: 'embed',
  task: 'feature-extraction',
  operand: 'TEXT',
  summary: 'turn texts into vectors',
  description: 'Prints the vector of each TEXT: numbers with tabs between, or with --json a list.',
  options: {
    pooling: {
      kind: 'text',
      placeholder: 'HOW',
      help: "mean, cls, last: how tokens become one vector; auto: as the model's modules.json says, prompts and all, else mean (default: auto)",
    },
    prompt: { kind: 'text', placeholder: 'TEXT', help: 'put TEXT before every text' },
    'prompt-name': {
      kind: 'text',
      placeholder: 'NAME',
      help: "the same by its name among the model's prompts, such as query",
    },
    normalize: { kind: 'flag', help: 'make the vectors 1 long (default, unless modules.json says otherwise)' },
    'no-normalize': { kind: 'flag', help: 'leave the vectors as long as they are' },
  },
  examples: ["octoformer embed -m sentence-transformers/all-MiniLM-L6-v2 'A man is eating food.' --json"],
  read: (text) => text,
  check: (given) => {
    if (given.flag('normalize') && given.flag('no-normalize')) {
      throw new UsageError('--normalize and --no-normalize exclude one another');
    }
  },
  defaults: (given) => {
    const pooling = (given.text('pooling') ?? 'auto') as Pooling;
    const normalize = given.flag('no-normalize') ? false : given.flag('normalize') || pooling !== 'auto' || undefined;
    return { pooling, ...defined({ normalize, prompt: given.text('prompt'), prompt_name: given.text('prompt-name') }) };
  },
  run: (extract, texts, given, signal) => (extract as PooledFeaturePipeline)(texts, batchOptions(given, signal)),
  show: (vector) => [vector.map(String)],
});

const classify = encodeCommand({
  name: 'classify',
  task: 'text-classification',
  operand: 'TEXT',
  summary: 'label texts',
  description: 'Prints the label of each TEXT and its score; with --top-k several labels, a line each.',
  options: topK,
  examples: ["octoformer classify -m distilbert-base-uncased-finetuned-sst-2-english 'What a day!'"],
  read: (text) => text,
  run: (label, texts, given, signal) =>
    label(texts, { top_k: given.number('top-k') ?? 1, ...batchOptions(given, signal) }),
  show: (labels) => labels.map((one) => [one.label, score(one.score)]),
});

const fillMask = encodeCommand({
  name: 'fill-mask',
  task: 'fill-mask',
  operand: 'TEXT',
  summary: 'guess the hidden word of a text',
  description:
    'Prints the likeliest words for the mask ([MASK] or <mask>, as the model has it): word, score and the text with it.',
  options: topK,
  examples: ["octoformer fill-mask -m bert-base-uncased 'Paris is the [MASK] of France.'"],
  read: (text) => text,
  run: (fill, texts, given, signal) => fill(texts, { ...topKOption(given), ...batchOptions(given, signal) }),
  show: (filled) =>
    filled.flatMap((one: FilledMask | FilledMask[]) =>
      (Array.isArray(one) ? one : [one]).map((word) => [word.token_str, score(word.score), word.sequence]),
    ),
});

const ner = encodeCommand({
  name: 'ner',
  task: 'token-classification',
  operand: 'TEXT',
  summary: 'find the names in a text',
  description: 'Prints what each TEXT names: kind, score, start, end and words.',
  options: {
    aggregation: { kind: 'text', placeholder: 'HOW', help: 'simple (default), first, average, max, none' },
    stride: { kind: 'integer', placeholder: 'N', help: 'read long texts in pieces that share N tokens' },
  },
  examples: ["octoformer ner -m dslim/bert-base-NER 'My name is Wolfgang and I live in Berlin.'"],
  read: (text) => text,
  run: (find, texts, given, signal) =>
    find(texts, {
      aggregation_strategy: (given.text('aggregation') ?? 'simple') as NonNullable<
        TokenClassificationOptions['aggregation_strategy']
      >,
      ...defined({ stride: given.number('stride') }),
      ...batchOptions(given, signal),
    }),
  show: (entities) =>
    entities.map((one) => [
      'entity' in one ? one.entity : one.entity_group,
      score(one.score),
      String(one.start),
      String(one.end),
      one.word,
    ]),
});

const qa = encodeCommand({
  name: 'qa',
  task: 'question-answering',
  operand: 'QUESTION',
  summary: 'find the answers to questions in a text',
  description: 'Prints the answer to each QUESTION that stands in the text of --context: answer, score, start and end.',
  options: {
    ...topK,
    context: { kind: 'text', placeholder: 'TEXT', help: 'where the answers stand' },
  },
  examples: ["octoformer qa -m deepset/roberta-base-squad2 'Who laughed?' --context 'Sarah laughed.'"],
  check: (given) => void given.required('context'),
  read: (question, given) => ({ question, context: given.required('context') }),
  run: (answer, questions, given, signal) =>
    answer(questions, { ...topKOption(given), ...batchOptions(given, signal) }),
  show: (answers) =>
    (Array.isArray(answers) ? answers : [answers]).map((one) => [
      one.answer,
      score(one.score),
      String(one.start),
      String(one.end),
    ]),
});

const zeroShot = encodeCommand({
  name: 'zero-shot',
  task: 'zero-shot-classification',
  operand: 'TEXT',
  summary: 'label texts with labels of your own',
  description: 'Prints how well each of the --labels fits each TEXT: label and score, best first.',
  options: {
    labels: { kind: 'text', placeholder: 'A,B,...', help: 'labels, with commas between them' },
    'multi-label': { kind: 'flag', help: 'several labels may fit: judge each by itself' },
    template: { kind: 'text', placeholder: 'TEXT', help: "sentence with {} for the label ('This example is {}.')" },
  },
  examples: ["octoformer zero-shot -m FacebookAI/roberta-large-mnli --labels 'sports,politics' 'They won the cup.'"],
  check: (given) => {
    if (given.required('labels').trim() === '') throw new UsageError('--labels needs at least one label');
  },
  read: (text) => text,
  run: (judge, texts, given, signal) =>
    judge(texts, {
      candidate_labels: given.required('labels'),
      multi_label: given.flag('multi-label'),
      ...defined({ hypothesis_template: given.text('template') }),
      ...batchOptions(given, signal),
    }),
  show: ({ labels, scores }) => labels.map((label, place) => [label, score(scores[place] ?? 0)]),
});

/** The commands over encoders. */
export const encoderCommands: readonly Command[] = [embed, classify, fillMask, ner, qa, zeroShot];
