import { invalidTokenizer, JsonPart } from '../json_part';
import type { TokenizerFiles } from '../pipeline';
import { type ClassDescription, TokenizerFolder } from '../tokenizer_folder';
import type { SentencePieceModel } from './model_file';

/** What a folder without tokenizer.json says of its tokenizer. */
export interface SentencePieceFolder extends Omit<TokenizerFiles, 'tokenizerJson'> {
  /** The SentencePiece files by their names. */
  readonly models: Readonly<Record<string, SentencePieceModel>>;
  /** vocab.json, where there is one. */
  readonly vocab?: unknown;
}

/** A class of transformers' tokenizers. */
export interface TokenizerClass {
  /** Length of texts at most where no file says it. */
  readonly maxLength?: number;
  describe(facts: FolderFacts): ClassDescription;
}

/** A folder's files as these classes read them. */
export class FolderFacts extends TokenizerFolder {
  constructor(
    className: string,
    private readonly folder: SentencePieceFolder,
  ) {
    super(className, folder);
  }

  /** The SentencePiece file of that name, or the one that there is. */
  model(name?: string): SentencePieceModel {
    const { models } = this.folder;
    const found = name === undefined ? Object.values(models)[0] : models[name];
    if (found === undefined)
      throw invalidTokenizer(
        name ?? 'the tokenizer',
        `${this.className} needs the file, which isn't there`,
        'take it from where the model was published',
      );
    return found;
  }

  /** vocab.json: ids of tokens. */
  vocab(): JsonPart {
    const part = new JsonPart(this.folder.vocab, 'vocab.json');
    if (part.isMissing)
      throw part.fail(
        `${this.className} needs the file, which isn't there`,
        'take it from where the model was published',
      );
    return part;
  }
}
