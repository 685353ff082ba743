import type { JsonPart } from '../json_part';
import { template } from '../tokenizer_folder';
import type { FolderFacts, TokenizerClass } from './description';
import { fairseqBeginning } from './fairseq';
import { mbart50Languages, mbartLanguages } from './languages';
import {
  charsmapOf,
  inSequence,
  joinedSpaces,
  metaspace,
  rebuilt,
  type ScoredToken,
  scoredPieces,
  unscored,
  wordsWithSpaces,
} from './rebuilt';

/** What differs from one of these classes to the other. */
interface UnigramParts {
  readonly vocab: readonly ScoredToken[];
  readonly unknownId: number;
  readonly normalizers: readonly object[];
  readonly pre_tokenizer: object;
  readonly decoder?: object;
  readonly post_processor: object;
  readonly extraTokens?: readonly string[];
  readonly maskTakesSpaces?: boolean;
}

function unigram(facts: FolderFacts, parts: UnigramParts) {
  const { vocab, unknownId, normalizers, decoder = metaspace('always'), ...others } = parts;
  return rebuilt(facts, {
    vocab: vocab.map(([token]) => token),
    model: { type: 'Unigram', vocab, unk_id: unknownId, byte_fallback: false },
    normalizer: inSequence(normalizers),
    decoder,
    ...others,
  });
}

/** The scheme of a class that `add_prefix_space` may take the first space from. */
function prefixScheme({ config }: FolderFacts): 'always' | 'never' {
  return config.get('add_prefix_space').boolean(true) ? 'always' : 'never';
}

/** fairseq's order: four tokens, which take the place of the file's first three, its pieces, and `last`. */
function fairseqVocabulary(
  facts: FolderFacts,
  last: readonly string[],
  begin: 'bos_token' | 'cls_token' = 'bos_token',
): ScoredToken[] {
  return [...unscored(fairseqBeginning(facts, begin)), ...scoredPieces(facts.model(), 3), ...unscored(last)];
}

/** `<s> A </s></s> B </s>`. */
function robertaTemplate(facts: FolderFacts): object {
  const [begin, end] = [facts.role('bos_token'), facts.role('eos_token')];
  return template([begin, '$A', end], [begin, '$A', end, end, '$B', end]);
}

/** A number of tokens that a class has beside its pieces; published ones have a hundred. */
function fewTokens(part: JsonPart, usual: number): number {
  const count = part.count(usual);
  if (count > 10_000) throw part.fail(`${count} tokens are more than any model has`, `${usual} are usual`);
  return count;
}

/** T5 and mT5, with the `<extra_id_…>` of their training behind the pieces. */
export const t5: TokenizerClass = {
  describe(facts) {
    const model = facts.model();
    const count = fewTokens(facts.config.get('extra_ids'), 100);
    const extraTokens = Array.from({ length: count }, (_, index) => `<extra_id_${index}>`);
    const end = facts.role('eos_token');
    return unigram(facts, {
      vocab: [...scoredPieces(model), ...unscored(extraTokens.toReversed())],
      unknownId: 2,
      normalizers: charsmapOf(model),
      pre_tokenizer: wordsWithSpaces('always'),
      post_processor: template(['$A', end], ['$A', end, '$B', end]),
      extraTokens,
    });
  },
};

/** Where Pegasus' pieces begin: masks and tokens that were never used come before them. */
const pegasusOffset = 103;

export const pegasus: TokenizerClass = {
  describe(facts) {
    const model = facts.model();
    const { config } = facts;
    const sentenceMask = config.get('mask_token_sent').string('<mask_1>');
    const unused = Array.from(
      { length: Math.max(0, fewTokens(config.get('offset'), pegasusOffset) - 2) },
      (_, index) => `<unk_${index + 2}>`,
    );
    const vocab: ScoredToken[] = [
      ...unscored([facts.role('pad_token'), facts.role('eos_token'), sentenceMask, facts.role('mask_token')]),
      ...unused.map((token): ScoredToken => [token, -100]),
      ...scoredPieces(model, 2),
    ];
    const end = facts.role('eos_token');
    const unknown = facts.role('unk_token');
    const unknownId = vocab.findIndex(([token], id) => id > 0 && token === unknown);
    if (unknownId < 0)
      throw config
        .get('unk_token')
        .fail(`no piece of ${model.file} is ${JSON.stringify(unknown)}`, 'name the unknown piece');
    return unigram(facts, {
      vocab,
      unknownId,
      normalizers:
        model.normalizer.charsmap.length > 0
          ? [...charsmapOf(model), joinedSpaces]
          : [{ type: 'Replace', pattern: { Regex: '\\n' }, content: ' ' }, joinedSpaces],
      pre_tokenizer: metaspace('always'),
      post_processor: template(['$A', end], ['$A', '$B', end]),
      extraTokens: [sentenceMask, ...unused],
    });
  },
};

/** mBART: the language comes behind the end token. */
export const mbart: TokenizerClass = {
  describe(facts) {
    const language = facts.config.get('src_lang').string('en_XX');
    const end = facts.role('eos_token');
    return unigram(facts, {
      vocab: fairseqVocabulary(facts, [...mbartLanguages, facts.role('mask_token')]),
      unknownId: 3,
      normalizers: [],
      pre_tokenizer: wordsWithSpaces('always'),
      post_processor: template(['$A', end, language], ['$A', '$B', end, language]),
      extraTokens: mbartLanguages,
      maskTakesSpaces: true,
    });
  },
};

/** mBART-50: the language comes before the text. */
export const mbart50: TokenizerClass = {
  describe(facts) {
    const model = facts.model();
    const language = facts.config.get('src_lang').string('en_XX');
    const end = facts.role('eos_token');
    return unigram(facts, {
      vocab: fairseqVocabulary(facts, [...mbart50Languages, facts.role('mask_token')], 'cls_token'),
      unknownId: 3,
      normalizers: [...charsmapOf(model), joinedSpaces],
      pre_tokenizer: metaspace('always'),
      post_processor: template([language, '$A', end], [language, '$A', '$B', end]),
      extraTokens: mbart50Languages,
      maskTakesSpaces: true,
    });
  },
};

export const xlmRoberta: TokenizerClass = {
  describe(facts) {
    const scheme = prefixScheme(facts);
    return unigram(facts, {
      vocab: fairseqVocabulary(facts, [facts.role('mask_token')]),
      unknownId: 3,
      normalizers: charsmapOf(facts.model()),
      pre_tokenizer: wordsWithSpaces(scheme),
      decoder: metaspace(scheme),
      post_processor: robertaTemplate(facts),
    });
  },
};

export const camembert: TokenizerClass = {
  describe(facts) {
    const scheme = prefixScheme(facts);
    const unknown = facts.role('unk_token');
    const vocab: ScoredToken[] = [
      ...unscored(['<s>NOTUSED', facts.role('pad_token'), '</s>NOTUSED', unknown]),
      ['<unk>NOTUSED', -100],
      ...scoredPieces(facts.model(), 1),
      [facts.role('mask_token'), 0],
    ];
    return unigram(facts, {
      vocab,
      unknownId: 3,
      normalizers: charsmapOf(facts.model()),
      pre_tokenizer: wordsWithSpaces(scheme),
      decoder: metaspace(scheme),
      post_processor: robertaTemplate(facts),
      maskTakesSpaces: true,
    });
  },
};

/** `[CLS] A [SEP] B [SEP]`, the second text with type 1. */
function bertTemplate(facts: FolderFacts): object {
  const [begin, end] = [facts.role('cls_token'), facts.role('sep_token')];
  return template([begin, '$A', end], [begin, '$A', end, '$B:1', `${end}:1`]);
}

export const albert: TokenizerClass = {
  describe(facts) {
    const { config } = facts;
    const scheme = prefixScheme(facts);
    const quotes = ['``', "''"].map((quote) => ({ type: 'Replace', pattern: { String: quote }, content: '"' }));
    return unigram(facts, {
      vocab: scoredPieces(facts.model()),
      unknownId: 1,
      normalizers: [
        ...quotes,
        ...(config.get('keep_accents').boolean(false) ? [] : [{ type: 'NFKD' }, { type: 'StripAccents' }]),
        ...(config.get('do_lower_case').boolean(true) ? [{ type: 'Lowercase' }] : []),
        ...charsmapOf(facts.model()),
      ],
      pre_tokenizer: wordsWithSpaces(scheme),
      decoder: metaspace(scheme),
      post_processor: bertTemplate(facts),
    });
  },
};

export const debertaV2: TokenizerClass = {
  describe(facts) {
    const { config } = facts;
    const scheme = config.get('add_prefix_space').boolean(true) ? 'always' : 'first';
    return unigram(facts, {
      vocab: scoredPieces(facts.model()),
      unknownId: facts.model().unknownId,
      normalizers: [
        ...(config.get('do_lower_case').boolean(false) ? [{ type: 'Lowercase' }] : []),
        { type: 'Replace', pattern: { Regex: '\\s{2,}|[\\n\\r\\t]' }, content: ' ' },
        { type: 'NFC' },
        { type: 'Strip', strip_left: false, strip_right: true },
      ],
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          ...(config.get('split_by_punct').boolean(false) ? [{ type: 'Punctuation', behavior: 'Isolated' }] : []),
          metaspace(scheme),
        ],
      },
      decoder: metaspace(scheme),
      post_processor: bertTemplate(facts),
    });
  },
};
