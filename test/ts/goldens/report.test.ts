import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { goldensReport, type Report } from './report';
import { isPassed, sectionText, summaryText } from './report_text';

const fixtures = join(__dirname, '..', '..', 'fixtures');

/** A folder of goldens with some of the fixtures. */
function folderOf(...parts: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'octoformer-goldens-'));
  for (const part of parts) cpSync(join(fixtures, part), join(folder, part), { recursive: true });
  return folder;
}

/** The report on a folder, which is removed then. */
async function reportOn(folder: string): Promise<Report> {
  try {
    return await goldensReport(folder, () => undefined);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const rowsOf = ({ sections }: Report) => sections.flatMap(({ rows }) => rows);

it('tells each model by what was compared, and sections that are not there', async () => {
  const report = await reportOn(folderOf('models/gpt2', 'models/bert-qa', 'processors', 'tokenizers/tiny', 'gguf'));
  expect(rowsOf(report).filter(({ status }) => status !== 'passed')).toEqual([]);
  const [models] = report.sections;
  const cells = Object.fromEntries(models?.rows.map(({ name, cells }) => [name, Object.keys(cells)]) ?? []);
  expect(cells).toEqual({
    'bert-qa': ['hidden states', 'attentions', 'logits', 'ragged'],
    gpt2: ['hidden states', 'attentions', 'logits', 'greedy', 'ragged', 'cache'],
  });
  for (const { rows } of report.sections) {
    for (const cell of rows.flatMap((row) => Object.values(row.cells))) {
      expect(cell.checks).toBeGreaterThan(0);
      expect(cell.error).toBeLessThan(1);
    }
  }
  const text = report.sections.map(sectionText).join('');
  expect(text).toMatch(/^gpt2 +gpt2 +0\.0\d+ .* same +same +\d+ {2}ok$/m);
  expect(text).toContain('bitsandbytes: not in this folder');
  expect(summaryText(report)).toContain(', 0 failed');
  expect(isPassed(report)).toBe(true);
});

it('finds a number that is off, tells which one, and does not pass', async () => {
  const folder = folderOf('models/gpt2', 'models/bert-qa');
  const file = join(folder, 'models/gpt2/golden.json');
  const golden = JSON.parse(readFileSync(file, 'utf8')) as { greedy: { ids: number[] }[] };
  const ids = golden.greedy[0]?.ids ?? [];
  ids.push((ids.pop() ?? 0) ^ 1);
  writeFileSync(file, JSON.stringify(golden));
  const report = await reportOn(folder);
  expect(isPassed(report)).toBe(false);
  const [bert, gpt2] = rowsOf(report);
  expect([bert?.status, gpt2?.status, gpt2?.cells.greedy?.failed]).toEqual(['passed', 'failed', 1]);
  expect(report.sections.map(sectionText).join('')).toMatch(/^gpt2 .*FAILED: greedy\.single off by 1, allowed 0$/m);
  expect(summaryText(report)).toContain('1 passed, 1 failed (models gpt2)');
});

it('names what is not supported, and fails on what can not be read', async () => {
  const folder = folderOf('models/gpt2', 'models/bert-qa');
  for (const [name, config] of [
    ['gpt2', '{ "model_type": "gpt9" }'],
    ['bert-qa', 'nothing'],
  ] as const) {
    writeFileSync(join(folder, 'models', name, 'config.json'), config);
  }
  const file = join(folder, 'models/unknown');
  mkdirSync(file);
  writeFileSync(join(file, 'config.json'), '{ "model_type": "bert" }');
  writeFileSync(join(file, 'golden.json'), '{ "kind": "diffusion" }');
  const report = await reportOn(folder);
  expect(rowsOf(report).map(({ name, status }) => [name, status])).toEqual([
    ['bert-qa', 'failed'],
    ['gpt2', 'unsupported'],
    ['unknown', 'unsupported'],
  ]);
  expect(report.sections.map(sectionText).join('')).toMatch(/NOT SUPPORTED: .*'gpt9' is not implemented/);
  expect(summaryText(report)).toContain('2 not supported (models gpt2, models unknown)');
});
