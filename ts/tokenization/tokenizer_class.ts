import type { SpecialName, SpecialTokens } from './special_tokens';

/** Tokens by their roles, where no file says otherwise. */
type DefaultRoles = Readonly<Partial<Record<SpecialName, string>>>;

const wordPieceRoles: DefaultRoles = {
  unk_token: '[UNK]',
  sep_token: '[SEP]',
  pad_token: '[PAD]',
  cls_token: '[CLS]',
  mask_token: '[MASK]',
};
/** Models whose texts begin and end as BERT's do. */
const bertLikeRoles: DefaultRoles = { ...wordPieceRoles, bos_token: '[CLS]', eos_token: '[SEP]' };
/** The roles that tokens of fairseq's models have. */
const fairseqRoles: DefaultRoles = {
  bos_token: '<s>',
  eos_token: '</s>',
  sep_token: '</s>',
  cls_token: '<s>',
  unk_token: '<unk>',
  pad_token: '<pad>',
  mask_token: '<mask>',
};
const { bos_token: _, ...fairseqRolesWithoutBegin } = fairseqRoles;
const endOfTextRoles: DefaultRoles = {
  bos_token: '<|endoftext|>',
  eos_token: '<|endoftext|>',
  unk_token: '<|endoftext|>',
};
const t5Roles: DefaultRoles = { eos_token: '</s>', unk_token: '<unk>', pad_token: '<pad>' };

/** What transformers' classes of tokenizers have for each role, by their names without `Fast`. */
const CLASS_ROLES: Readonly<Record<string, DefaultRoles>> = {
  AlbertTokenizer: { ...bertLikeRoles, unk_token: '<unk>', pad_token: '<pad>' },
  BartTokenizer: fairseqRoles,
  BertTokenizer: wordPieceRoles,
  CamembertTokenizer: fairseqRoles,
  CodeGenTokenizer: endOfTextRoles,
  DebertaV2Tokenizer: bertLikeRoles,
  DistilBertTokenizer: wordPieceRoles,
  ElectraTokenizer: wordPieceRoles,
  GemmaTokenizer: {
    unk_token: '<unk>',
    bos_token: '<bos>',
    eos_token: '<eos>',
    pad_token: '<pad>',
    mask_token: '<mask>',
  },
  GPT2Tokenizer: endOfTextRoles,
  GPTNeoXTokenizer: { ...endOfTextRoles, pad_token: '<|padding|>' },
  LlamaTokenizer: { unk_token: '<unk>', bos_token: '<s>', eos_token: '</s>' },
  M2M100Tokenizer: { ...t5Roles, bos_token: '<s>', sep_token: '</s>' },
  MarianTokenizer: t5Roles,
  MBart50Tokenizer: fairseqRolesWithoutBegin,
  MBartTokenizer: fairseqRoles,
  MPNetTokenizer: { ...fairseqRoles, unk_token: '[UNK]' },
  MT5Tokenizer: t5Roles,
  NllbTokenizer: fairseqRoles,
  PegasusTokenizer: { ...t5Roles, mask_token: '<mask_2>' },
  Qwen2Tokenizer: { eos_token: '<|endoftext|>', unk_token: '<|endoftext|>', pad_token: '<|endoftext|>' },
  RobertaTokenizer: fairseqRoles,
  T5Tokenizer: t5Roles,
  XLMRobertaTokenizer: fairseqRoles,
};

/** The classes of models whose files name none. */
const CLASS_OF_MODEL: Readonly<Record<string, string>> = {
  albert: 'AlbertTokenizer',
  bart: 'BartTokenizer',
  bert: 'BertTokenizer',
  camembert: 'CamembertTokenizer',
  'deberta-v2': 'DebertaV2Tokenizer',
  distilbert: 'DistilBertTokenizer',
  electra: 'ElectraTokenizer',
  gemma: 'GemmaTokenizer',
  gemma2: 'GemmaTokenizer',
  gemma3_text: 'GemmaTokenizer',
  gpt2: 'GPT2Tokenizer',
  gpt_neo: 'GPT2Tokenizer',
  gpt_neox: 'GPTNeoXTokenizer',
  gptj: 'GPT2Tokenizer',
  llama: 'LlamaTokenizer',
  m2m_100: 'M2M100Tokenizer',
  marian: 'MarianTokenizer',
  mbart: 'MBartTokenizer',
  mistral: 'LlamaTokenizer',
  mixtral: 'LlamaTokenizer',
  mpnet: 'MPNetTokenizer',
  mt5: 'T5Tokenizer',
  opt: 'GPT2Tokenizer',
  pegasus: 'PegasusTokenizer',
  phi: 'GPT2Tokenizer',
  qwen2: 'Qwen2Tokenizer',
  qwen2_moe: 'Qwen2Tokenizer',
  qwen3: 'Qwen2Tokenizer',
  qwen3_moe: 'Qwen2Tokenizer',
  roberta: 'RobertaTokenizer',
  starcoder2: 'GPT2Tokenizer',
  t5: 'T5Tokenizer',
  'xlm-roberta': 'XLMRobertaTokenizer',
};

/** The class of a tokenizer without `Fast`: the one that its files name, else that of the model. Undefined where neither says it. */
export function tokenizerClassName(named: unknown, modelType: string | undefined): string | undefined {
  if (typeof named === 'string' && named !== '') return named.replace(/Fast$/, '');
  return modelType !== undefined && Object.hasOwn(CLASS_OF_MODEL, modelType) ? CLASS_OF_MODEL[modelType] : undefined;
}

/** Tokens by role that a class has where the files name none, as those of many older models do. */
export function defaultRoles(className: string | undefined): SpecialTokens {
  return (className !== undefined && Object.hasOwn(CLASS_ROLES, className) && CLASS_ROLES[className]) || {};
}
