import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const fixtures = join(__dirname, '..', '..', 'fixtures', 'tokenizers');
const folders: string[] = [];

/** Removes all that `write` has written. */
export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
}

/** The model of a fixture's tokenizer.json. */
function modelOf(name: string) {
  const { model } = JSON.parse(readFileSync(join(fixtures, name, 'tokenizer.json'), 'utf8')) as {
    model: { vocab: Record<string, number>; merges: readonly [string, string][] };
  };
  return model;
}

/** Words of BERT's fixture in vocab.txt, or byte pairs of the tiny one in vocab.json and merges.txt; `added` follow them. */
export function lists(kind: string, added: readonly string[]): Record<string, string> {
  if (kind === 'vocab.txt') {
    const words = Object.entries(modelOf('bert-uncased').vocab).sort(([, a], [, b]) => a - b);
    return { 'vocab.txt': [...words.map(([word]) => word), ...added, ''].join('\n') };
  }
  const { vocab, merges } = modelOf('tiny');
  for (const token of added) vocab[token] ??= Object.keys(vocab).length;
  const lines = ['#version: 0.2', ...merges.map((pair) => pair.join(' ')), ''];
  return { 'vocab.json': JSON.stringify(vocab), 'merges.txt': lines.join('\n') };
}

/** A folder with these files. */
export function write(files: Readonly<Record<string, string | object>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'octoformer-vocabulary-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  return folder;
}
