import { OctoformerError } from '../../binding/error';
import type { TokenizerFiles } from '../pipeline';
import { gemma, llama, nllb } from './bpe_classes';
import { type ClassDescription, FolderFacts, type SentencePieceFolder, type TokenizerClass } from './description';
import { m2m100, marian } from './listed_classes';
import { albert, camembert, debertaV2, mbart, mbart50, pegasus, t5, xlmRoberta } from './unigram_classes';

/** Classes of transformers' tokenizers by their names, without `Fast`. */
const CLASSES: Readonly<Record<string, TokenizerClass>> = {
  AlbertTokenizer: albert,
  CamembertTokenizer: camembert,
  DebertaV2Tokenizer: debertaV2,
  GemmaTokenizer: gemma,
  LlamaTokenizer: llama,
  M2M100Tokenizer: m2m100,
  MarianTokenizer: marian,
  MBart50Tokenizer: mbart50,
  MBartTokenizer: mbart,
  MT5Tokenizer: t5,
  NllbTokenizer: nllb,
  PegasusTokenizer: pegasus,
  T5Tokenizer: t5,
  XLMRobertaTokenizer: xlmRoberta,
};

/** The classes of models whose files name none. */
const CLASS_OF_MODEL: Readonly<Record<string, string>> = {
  albert: 'AlbertTokenizer',
  camembert: 'CamembertTokenizer',
  'deberta-v2': 'DebertaV2Tokenizer',
  gemma: 'GemmaTokenizer',
  gemma2: 'GemmaTokenizer',
  gemma3_text: 'GemmaTokenizer',
  llama: 'LlamaTokenizer',
  m2m_100: 'M2M100Tokenizer',
  marian: 'MarianTokenizer',
  mbart: 'MBartTokenizer',
  mistral: 'LlamaTokenizer',
  mixtral: 'LlamaTokenizer',
  mt5: 'T5Tokenizer',
  pegasus: 'PegasusTokenizer',
  t5: 'T5Tokenizer',
  'xlm-roberta': 'XLMRobertaTokenizer',
};

/**
 * What stands for a tokenizer.json in a folder that has SentencePiece files only, as transformers' class of that name makes a tokenizer of
 * them.
 * @param modelType `model_type` of config.json, where tokenizer_config.json names no `tokenizer_class`
 * @throws OctoformerError UNSUPPORTED_ARCHITECTURE for a class that isn't known, INVALID_TOKENIZER, UNSUPPORTED_OPTION
 */
export function tokenizerFilesFromSentencePiece(folder: SentencePieceFolder, modelType?: string): TokenizerFiles {
  const config = (folder.tokenizerConfig ?? {}) as Readonly<Record<string, unknown>>;
  const className = classNameOf(config.tokenizer_class, modelType);
  const known = className !== undefined && Object.hasOwn(CLASSES, className) ? CLASSES[className] : undefined;
  if (className === undefined || known === undefined)
    throw new OctoformerError(
      'UNSUPPORTED_ARCHITECTURE',
      `${className ?? `a tokenizer for the model type ${JSON.stringify(modelType)}`} can't be made of SentencePiece files here (known are ${Object.keys(CLASSES).join(', ')}); ` +
        'in Python, AutoTokenizer.from_pretrained(SOURCE).save_pretrained(FOLDER) writes the tokenizer.json that is opened',
    );
  const facts = new FolderFacts(className, folder, known.roles);
  const { tokenizerJson, extraTokens = [] }: ClassDescription = known.describe(facts);
  const { models: _, vocab: __, ...files } = folder;
  return {
    ...files,
    tokenizerJson,
    tokenizerConfig: {
      ...(known.maxLength === undefined ? {} : { model_max_length: known.maxLength }),
      ...config,
      ...facts.roles,
      tokenizer_class: className,
      additional_special_tokens: extraTokens,
    },
  };
}

function classNameOf(named: unknown, modelType: string | undefined): string | undefined {
  if (typeof named === 'string' && named !== '') return named.replace(/Fast$/, '');
  return modelType !== undefined && Object.hasOwn(CLASS_OF_MODEL, modelType) ? CLASS_OF_MODEL[modelType] : undefined;
}
