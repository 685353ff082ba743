import { extraTokensOf, template } from '../tokenizer_folder';
import type { FolderFacts, TokenizerClass } from './description';
import { fairseqBeginning } from './fairseq';
import { nllbLanguages } from './languages';
import { charsmapOf, inSequence, joinedSpaces, metaspace, rebuilt } from './rebuilt';

/** Every way to make a piece out of two others as a merge: earlier pieces first, then shorter left parts. */
function mergesOf(pieces: readonly string[]): [string, string][] {
  const ids = new Map(pieces.map((piece, id) => [piece, id]));
  const merges: [string, string][] = [];
  for (const piece of pieces) {
    let cut = 0;
    // Within a piece shorter left parts come first already.
    for (const character of piece) {
      cut += character.length;
      const pair: [string, string] = [piece.slice(0, cut), piece.slice(cut)];
      if (ids.has(pair[0]) && ids.has(pair[1])) merges.push(pair);
    }
  }
  return merges;
}

interface BpeSettings {
  readonly unk_token: string | null;
  readonly byte_fallback: boolean;
}

function bpe(vocab: readonly string[], pieces: readonly string[], settings: BpeSettings): object {
  return {
    type: 'BPE',
    vocab: new Map(vocab.map((token, id) => [token, id])),
    merges: mergesOf(pieces),
    fuse_unk: true,
    ...settings,
  };
}

/** `▁` to spaces, bytes to characters, all in one. */
const spacesAndBytes = [
  { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
  { type: 'ByteFallback' },
  { type: 'Fuse' },
];

/** Llama 2 and its kin. Begin and end tokens are put around a text where tokenizer_config.json asks for them. */
export const llama: TokenizerClass = {
  describe(facts) {
    const { pieces } = facts.model();
    const { config } = facts;
    const hasPrefix = config.get('add_prefix_space').boolean(true);
    const scheme = hasPrefix ? (config.get('legacy').boolean(false) ? 'always' : 'first') : 'never';
    return rebuilt(facts, {
      vocab: pieces,
      model: bpe(pieces, pieces, { unk_token: null, byte_fallback: true }),
      normalizer: null,
      pre_tokenizer: metaspace(scheme, false),
      decoder: {
        type: 'Sequence',
        decoders: [...spacesAndBytes, ...(hasPrefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [])],
      },
    });
  },
};

/** Gemma: as Llama, without a space before the text. */
export const gemma: TokenizerClass = {
  describe(facts) {
    const { pieces } = facts.model();
    return rebuilt(facts, {
      vocab: pieces,
      model: bpe(pieces, pieces, { unk_token: facts.role('unk_token'), byte_fallback: true }),
      normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false },
      decoder: { type: 'Sequence', decoders: spacesAndBytes },
    });
  },
};

/** NLLB-200: fairseq's order, languages and the mask behind the pieces. */
export const nllb: TokenizerClass = {
  describe(facts) {
    const model = facts.model();
    const { config, roles } = facts;
    const vocab = [...new Set([...fairseqBeginning(facts), ...model.pieces])];
    const listed = extraTokensOf(facts);
    const languages = listed.some((token) => nllbLanguages.includes(token)) ? listed : nllbLanguages;
    const added = [...languages, ...(roles.mask_token === undefined ? [] : [roles.mask_token])];
    const description = rebuilt(facts, {
      vocab,
      model: bpe(vocab, model.pieces, { unk_token: facts.role('unk_token'), byte_fallback: false }),
      normalizer: model.normalizer.charsmap.length > 0 ? inSequence([...charsmapOf(model), joinedSpaces]) : null,
      pre_tokenizer: metaspace('always'),
      decoder: metaspace('always'),
      post_processor: languageTemplate(facts, config.get('src_lang').string('eng_Latn')),
      extraTokens: languages,
    });
    const known = new Set(vocab);
    const { added_tokens: before, ...others } = description.tokenizerJson;
    // The mask comes last, though roles come before other special tokens elsewhere.
    const behind = added
      .filter((token) => !known.has(token))
      .map((content, index) => ({
        id: vocab.length + index,
        content,
        special: true,
        normalized: false,
        lstrip: content === roles.mask_token,
      }));
    return { ...description, tokenizerJson: { ...others, added_tokens: [...(before as object[]), ...behind] } };
  },
};

/** Before the text, or behind the end token as in NLLB's first version. */
function languageTemplate(facts: FolderFacts, language: string): object {
  const end = facts.role('eos_token');
  return facts.config.get('legacy_behaviour').boolean(false)
    ? template(['$A', end, language], ['$A', '$B', end, language])
    : template([language, '$A', end], [language, '$A', '$B', end]);
}
