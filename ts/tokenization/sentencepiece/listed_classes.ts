import { OctoformerError } from '../../binding/error';
import { type ClassDescription, extraTokensOf, template } from '../tokenizer_folder';
import type { FolderFacts, TokenizerClass } from './description';
import { m2m100Languages, wmt21Languages } from './languages';
import { SentencePieceProcessor } from './processor';

// Tokenizers whose ids are those of vocab.json. Python cuts with the SentencePiece library itself here, so these do as it does.

/** The parts of such a tokenizer's description. */
function listed(
  facts: FolderFacts,
  file: string,
  vocab: unknown,
  options: { readonly model: object; readonly decoder: object; readonly post_processor: object },
): ClassDescription {
  const processor = new SentencePieceProcessor(facts.model(file));
  const extraTokens = extraTokensOf(facts);
  return {
    tokenizerJson: {
      model: { type: 'SentencePiece', processor, vocab, unk_token: facts.role('unk_token'), ...options.model },
      decoder: {
        type: 'SentencePiece',
        processor,
        special_tokens: [...new Set([...Object.values(facts.roles), ...extraTokens])],
        ...options.decoder,
      },
      post_processor: options.post_processor,
    },
    extraTokens,
  };
}

/**
 * Marian: pieces of source.spm, an end token behind the text, and `>>code<<` before it where a model translates into several languages. Like Python
 * without the package sacremoses, it doesn't change punctuation first. Answers are put together by source.spm too, as in Python.
 */
export const marian: TokenizerClass = {
  maxLength: 512,
  describe(facts) {
    if (facts.config.get('separate_vocabs').boolean(false))
      throw new OctoformerError(
        'UNSUPPORTED_OPTION',
        "tokenizer_config.json: separate_vocabs, a vocabulary for each language, is not supported; such a model's text has to be tokenized elsewhere",
      );
    const end = facts.role('eos_token');
    return listed(facts, 'source.spm', facts.vocab().value, {
      model: { language_codes: true },
      decoder: { behind_special: ' ', replace_spaces: true },
      post_processor: template(['$A', end], ['$A', '$B', end]),
    });
  },
};

/** M2M-100: pieces of sentencepiece.bpe.model, the token of the text's language (`__en__`) before it and an end token behind. */
export const m2m100: TokenizerClass = {
  describe(facts) {
    const { config } = facts;
    const lists = { m2m100: m2m100Languages, wmt21: wmt21Languages };
    const languages = lists[config.get('language_codes').oneOf(['m2m100', 'wmt21'], 'm2m100')];
    const tokens = languages.map((code) => `__${code}__`);
    const given = facts.vocab().object();
    const vocab = new Map(Object.entries(given) as [string, number][]);
    const { size } = vocab;
    const listedToo = new Set(extraTokensOf(facts));
    // Their ids follow those of the file. Files list them all among the special tokens; where they don't, texts can't have them in them, but they are known.
    if (!tokens.every((token) => listedToo.has(token)))
      for (const [index, token] of tokens.entries()) if (!(token in given)) vocab.set(token, size + index);
    const source = config.get('src_lang').string('en');
    const language = `__${source}__`;
    if (!tokens.includes(language))
      throw config
        .get('src_lang')
        .fail(`unknown language ${JSON.stringify(source)}`, `known are ${languages.join(', ')}`);
    const end = facts.role('eos_token');
    return listed(facts, 'sentencepiece.bpe.model', vocab, {
      model: {},
      decoder: {},
      post_processor: template([language, '$A', end], [language, '$A', '$B', end]),
    });
  },
};
