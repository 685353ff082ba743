import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const fixtures = join(__dirname, '..', 'fixtures', 'sentencepiece');

/** A folder of test/fixtures/sentencepiece/golden.json, and what Python's tokenizer gives there. */
export interface GoldenFolder {
  readonly name: string;
  /** SentencePiece files by the names that the folder has for them. */
  readonly models: Readonly<Record<string, string>>;
  readonly vocab?: Readonly<Record<string, number>>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly model_type?: string;
  readonly class: string;
  readonly vocab_size: number;
  readonly length: number;
  readonly special_ids: readonly number[];
  readonly pair: readonly number[];
  readonly cases: readonly {
    /** Its place in the list of texts. */
    readonly text: number;
    readonly ids: readonly number[];
    readonly decoded: string;
    /** Where it is another text. */
    readonly decoded_skip?: string;
    /** Beginnings and ends in Unicode code points, of tokenizers that have them. */
    readonly offsets?: readonly number[];
  }[];
}

const golden = JSON.parse(readFileSync(join(fixtures, 'golden.json'), 'utf8')) as {
  readonly texts: readonly string[];
  readonly folders: readonly GoldenFolder[];
};

export const { texts: goldenTexts, folders: goldenFolders } = golden;

export function goldenFolder(name: string): GoldenFolder {
  const found = goldenFolders.find((one) => one.name === name);
  if (!found) throw new Error(`golden.json has no ${name}`);
  return found;
}

/** Files that lie with the model whose tokenizer they are. */
const ofMarian: Readonly<Record<string, string>> = { english: 'source.spm', german: 'target.spm' };

/** A SentencePiece file by the name that golden.json has for it. */
export function modelFile(name: string): string {
  const shared = ofMarian[name];
  return shared ? join(fixtures, '..', 'models', 'marian', shared) : join(fixtures, `${name}.model`);
}

/** Folders that are removed at the end of a test. */
export class Folders {
  private readonly made = mkdtempSync(join(tmpdir(), 'octoformer-sentencepiece-'));
  private count = 0;

  /** Writes the files of a folder, without those whose names `without` has. */
  write({ models, vocab, config, model_type }: GoldenFolder, without: readonly string[] = []): string {
    const folder = join(this.made, String(this.count++));
    mkdirSync(folder);
    for (const [name, model] of Object.entries(models)) copyFileSync(modelFile(model), join(folder, name));
    const json = { 'vocab.json': vocab, 'tokenizer_config.json': config, 'config.json': model_type && { model_type } };
    for (const [name, value] of Object.entries(json))
      if (value) writeFileSync(join(folder, name), JSON.stringify(value));
    for (const name of without) rmSync(join(folder, name));
    return folder;
  }

  remove(): void {
    rmSync(this.made, { recursive: true });
  }
}
