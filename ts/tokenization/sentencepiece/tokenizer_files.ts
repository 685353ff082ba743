import { OctoformerError } from '../../binding/error';
import type { TokenizerFiles } from '../pipeline';
import { tokenizerClassName } from '../tokenizer_class';
import type { ClassDescription } from '../tokenizer_folder';
import { gemma, llama, nllb } from './bpe_classes';
import { FolderFacts, type SentencePieceFolder, type TokenizerClass } from './description';
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

/**
 * What stands for a tokenizer.json in a folder that has SentencePiece files only, as transformers' class of that name makes a tokenizer of
 * them.
 * @throws OctoformerError UNSUPPORTED_ARCHITECTURE for a class that isn't known, INVALID_TOKENIZER, UNSUPPORTED_OPTION
 */
export function tokenizerFilesFromSentencePiece(folder: SentencePieceFolder): TokenizerFiles {
  const config = (folder.tokenizerConfig ?? {}) as Readonly<Record<string, unknown>>;
  const className = tokenizerClassName(config.tokenizer_class, folder.modelType);
  const known = className !== undefined && Object.hasOwn(CLASSES, className) ? CLASSES[className] : undefined;
  if (className === undefined || known === undefined)
    throw new OctoformerError(
      'UNSUPPORTED_ARCHITECTURE',
      `${className ?? `a tokenizer for the model type ${JSON.stringify(folder.modelType)}`} can't be made of SentencePiece files here (known are ${Object.keys(CLASSES).join(', ')}); ` +
        'in Python, AutoTokenizer.from_pretrained(SOURCE).save_pretrained(FOLDER) writes the tokenizer.json that is opened',
    );
  const facts = new FolderFacts(className, folder);
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
