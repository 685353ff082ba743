import type { Command } from './command';
import { batchOptions, encodeCommand } from './encode_command';
import { GENERATION_OPTIONS, generationOptions } from './generation_options';
import { defined } from './model_options';

const { system: _system, stats: _stats, json: _json, ...GENERATION } = GENERATION_OPTIONS;

const translate = encodeCommand({
  name: 'translate',
  task: 'translation',
  operand: 'TEXT',
  summary: 'translate texts',
  description:
    'Prints the translation of each TEXT. Models for several languages need --src-lang and --tgt-lang, as they name them: en_XX (mBART), eng_Latn (NLLB), en (T5, M2M100).',
  options: {
    'src-lang': { kind: 'text', placeholder: 'LANGUAGE', help: 'the language of the texts' },
    'tgt-lang': { kind: 'text', placeholder: 'LANGUAGE', help: 'the language to translate into' },
    ...GENERATION,
  },
  examples: [
    "octoformer translate -m google-t5/t5-small --src-lang en --tgt-lang de 'The house is wonderful.'",
    'octoformer translate -m facebook/nllb-200-distilled-600M --src-lang eng_Latn --tgt-lang deu_Latn --num-beams 4 --json < lines.txt',
  ],
  read: (text) => text,
  run: (translation, texts, given, signal) =>
    translation(texts, {
      ...defined({ src_lang: given.text('src-lang'), tgt_lang: given.text('tgt-lang') }),
      ...generationOptions(given),
      ...batchOptions(given, signal),
    }),
  show: ({ translation_text }) => [[translation_text]],
});

const summarize = encodeCommand({
  name: 'summarize',
  task: 'summarization',
  operand: 'TEXT',
  summary: 'summarize texts',
  description: 'Prints a summary of each TEXT.',
  options: GENERATION,
  examples: ['octoformer summarize -m facebook/bart-large-cnn --num-beams 4 < articles.txt'],
  read: (text) => text,
  run: (summarization, texts, given, signal) =>
    summarization(texts, { ...generationOptions(given), ...batchOptions(given, signal) }),
  show: ({ summary_text }) => [[summary_text]],
});

/** The commands over encoder-decoders. */
export const seq2seqCommands: readonly Command[] = [translate, summarize];
