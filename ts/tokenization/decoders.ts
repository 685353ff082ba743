import { bytesOfToken } from './byte_characters';
import { byteOfToken } from './byte_tokens';
import type { Decoder, Emit, Stage } from './decoding_stage';
import type { JsonPart } from './json_part';
import { readPattern } from './regex';

/** Sequences within sequences; published files have one level. */
const MAX_DEPTH = 16;

/** Text out of tokens, piece by piece. */
export class DecoderStream {
  private readonly stages: readonly Stage[];
  private readonly emits: Emit[] = [];
  private pieces: string[] = [];

  constructor(decoders: readonly Decoder[]) {
    this.stages = decoders.flatMap((decoder) => decoder());
    this.emits[this.stages.length] = (text) => {
      if (text !== '') this.pieces.push(text);
    };
    for (let i = this.stages.length - 1; i >= 0; i--) {
      const stage = this.stages[i] as Stage;
      const emit = this.emits[i + 1] as Emit;
      this.emits[i] = (text, begins, ends) => stage.push(text, begins, ends, emit);
    }
  }

  /** Takes a token, and gives the text that is certain by now. */
  push(token: string): string {
    (this.emits[0] as Emit)(token, true, true);
    return this.take();
  }

  /** The rest of the text. */
  flush(): string {
    this.stages.forEach((stage, i) => {
      stage.flush(this.emits[i + 1] as Emit);
    });
    return this.take();
  }

  private take(): string {
    const text = this.pieces.length === 1 ? (this.pieces[0] as string) : this.pieces.join('');
    this.pieces = [];
    return text;
  }
}

/** A stage that looks at whole tokens. `convert` gives the tokens that take its place. */
function wholeTokens(
  convert: (token: string, index: number) => readonly string[],
  atEnd: () => readonly string[] = () => [],
): Stage {
  let held: string[] = [];
  let index = 0;
  const finish = (emit: Emit): void => {
    const token = held.length === 1 ? (held[0] as string) : held.join('');
    held = [];
    for (const result of convert(token, index++)) emit(result, true, true);
  };
  return {
    push(text, _begins, ends, emit) {
      held.push(text);
      if (ends) finish(emit);
    },
    flush(emit) {
      if (held.length > 0) finish(emit);
      for (const result of atEnd()) emit(result, true, true);
    },
  };
}

/** Joins all tokens to one. */
export const fuse: Decoder = () => {
  let isFirst = true;
  return [
    {
      push(text, _begins, _ends, emit) {
        emit(text, isFirst, false);
        isFirst = false;
      },
      flush(emit) {
        emit('', isFirst, true);
      },
    },
  ];
};

/** Puts spaces between the tokens: what a tokenizer without a decoder does. */
export const joinBySpaces: Decoder = () => [wholeTokens((token, index) => [index === 0 ? token : ` ${token}`])];

/** Bytes to text; a character waits until its bytes are complete, bytes that are no UTF-8 become U+FFFD. */
const byteLevel: Decoder = () => {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let isFirst = true;
  return [
    wholeTokens((token) => [token]),
    {
      push(text, _begins, _ends, emit) {
        emit(decoder.decode(bytesOfToken(text), { stream: true }), isFirst, false);
        isFirst = false;
      },
      flush(emit) {
        emit(decoder.decode(), isFirst, true);
      },
    },
  ];
};

/** Runs of `<0x..>` tokens to text: a run that is not UTF-8 as a whole gives one U+FFFD a byte, so a run is decided at its end. */
const byteFallback: Decoder = () => {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
  let bytes: number[] = [];
  const run = (): string[] => {
    if (bytes.length === 0) return [];
    const taken = Uint8Array.from(bytes);
    bytes = [];
    try {
      return [decoder.decode(taken)];
    } catch {
      return Array.from(taken, () => '\ufffd');
    }
  };
  const convert = (token: string): string[] => {
    const byte = byteOfToken(token);
    if (byte === undefined) return [...run(), token];
    bytes.push(byte);
    return [];
  };
  return [wholeTokens(convert, run)];
};

/** Takes up to `start` and `stop` times the character off the ends of every token. */
function strip(content: string, start: number, stop: number): Decoder {
  return () => {
    let left = start;
    let held = '';
    return [
      {
        push(chunk, begins, ends, emit) {
          if (begins) {
            left = start;
            held = '';
          }
          let text = chunk;
          while (left > 0 && text !== '') {
            if (!text.startsWith(content)) left = 0;
            else {
              text = text.slice(content.length);
              left--;
            }
          }
          text = held + text;
          let end = text.length;
          for (let i = 0; i < stop && end >= content.length && text.endsWith(content, end); i++) end -= content.length;
          held = text.slice(end);
          emit(text.slice(0, end), begins, ends);
        },
        flush() {},
      },
    ];
  };
}

/** Replaces a literal within every token, also where the token comes in chunks. */
export function replaceLiteral(literal: string, content: string): Decoder {
  return () => {
    let held = '';
    return [
      {
        push(chunk, begins, ends, emit) {
          const text = held + chunk;
          held = '';
          let out = '';
          let at = 0;
          for (let found = text.indexOf(literal); found >= 0; found = text.indexOf(literal, at)) {
            out += text.slice(at, found) + content;
            at = found + literal.length;
          }
          let end = text.length;
          // The end may be the beginning of the literal: it waits for what follows.
          if (!ends) {
            let keep = Math.min(literal.length - 1, text.length - at);
            while (keep > 0 && !literal.startsWith(text.slice(text.length - keep))) keep--;
            end -= keep;
          }
          held = text.slice(end);
          emit(out + text.slice(at, end), begins, ends);
        },
        flush() {},
      },
    ];
  };
}

function replace(part: JsonPart): Decoder {
  const matcher = readPattern(part.get('pattern'));
  const content = part.get('content').string();
  const { literal } = matcher;
  if (literal !== null && literal.length > 0) return replaceLiteral(literal, content);
  return () => [
    wholeTokens((token) => {
      let out = '';
      let last = 0;
      for (const [start, end] of matcher.find(token)) {
        out += token.slice(last, start) + content;
        last = end;
      }
      return [out + token.slice(last)];
    }),
  ];
}

/** `▁` to spaces; those of the first token vanish, as the pre-tokenizer put one there. */
function metaspace(part: JsonPart): Decoder {
  const replacement = part.get('replacement').character('▁');
  const addPrefixSpace = part.get('add_prefix_space').boolean(true);
  const scheme = part.get('prepend_scheme').oneOf(['always', 'first', 'never'], addPrefixSpace ? 'always' : 'never');
  return () => [
    wholeTokens((token, index) => [token.replaceAll(replacement, index === 0 && scheme !== 'never' ? '' : ' ')]),
  ];
}

/** What decoding cleans up after tokenizers that cut off punctuation (transformers' `clean_up_tokenization`), in this order. */
export const CLEAN_UP: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/** The WordPiece decoder has one rule more, between the seventh and the eighth. */
const WORDPIECE_CLEAN_UP = CLEAN_UP.toSpliced(7, 0, [' do not', " don't"]);

function cleanWordPiece(text: string): string {
  return WORDPIECE_CLEAN_UP.reduce((result, [from, to]) => result.replaceAll(from, to), text);
}

function wordPiece(part: JsonPart): Decoder {
  const prefix = part.get('prefix').string('##');
  const cleanup = part.get('cleanup').boolean(true);
  return () => [
    wholeTokens((token, index) => {
      let text = token;
      if (index > 0) text = token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      return [cleanup ? cleanWordPiece(text) : text];
    }),
  ];
}

/** The suffix of a word's last token becomes a space, but at the end of the text. */
function wordEnd(part: JsonPart): Decoder {
  const suffix = part.get('suffix').string('</w>');
  return () => {
    let held: string | null = null;
    const convert = (token: string): string[] => {
      const before = held;
      held = token;
      return before === null ? [] : [before.replaceAll(suffix, ' ')];
    };
    return [wholeTokens(convert, () => (held === null ? [] : [held.replaceAll(suffix, '')]))];
  };
}

/** Connectionist temporal classification: repeated tokens and padding vanish. */
function ctc(part: JsonPart): Decoder {
  const pad = part.get('pad_token').string('<pad>');
  const delimiter = part.get('word_delimiter_token').string('|');
  const cleanup = part.get('cleanup').boolean(true);
  return () => {
    let last: string | null = null;
    return [
      wholeTokens((token) => {
        if (token === last) return [];
        last = token;
        const text = token.replaceAll(pad, '');
        return [cleanup ? cleanWordPiece(text).replaceAll(delimiter, ' ') : text].filter((piece) => piece !== '');
      }),
    ];
  };
}

/** Builds the decoder of a tokenizer.json. Throws INVALID_TOKENIZER for an unknown type. */
export function readDecoder(part: JsonPart, depth = 0): Decoder {
  if (depth > MAX_DEPTH) throw part.fail(`more than ${MAX_DEPTH} sequences within sequences`);
  const type = part.get('type').string();
  switch (type) {
    case 'Sequence': {
      const steps = part
        .get('decoders')
        .list()
        .map((step) => readDecoder(step, depth + 1));
      return () => steps.flatMap((step) => step());
    }
    case 'ByteLevel':
      return byteLevel;
    case 'ByteFallback':
      return byteFallback;
    case 'Fuse':
      return fuse;
    case 'Strip':
      return strip(part.get('content').character(), part.get('start').count(0), part.get('stop').count(0));
    case 'Replace':
      return replace(part);
    case 'Metaspace':
      return metaspace(part);
    case 'WordPiece':
      return wordPiece(part);
    case 'BPEDecoder':
      return wordEnd(part);
    case 'CTC':
      return ctc(part);
    case 'SentencePiece': {
      const { readPieceDecoder } =
        require('./sentencepiece/piece_decoder') as typeof import('./sentencepiece/piece_decoder');
      return readPieceDecoder(part);
    }
    default:
      throw part.fail(`unknown decoder type ${JSON.stringify(type)}`, 'this version of octoformer does not know it');
  }
}
