import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { main, ScriptError } from './process.mjs';
import { setup } from './setup.mjs';
import { loadTypeScript } from './typescript.mjs';

const usage =
  'npm run goldens -- DIR [--json]: DIR is a folder of reference results (docs/developing.md tells the format)';

/**
 * npm run goldens -- DIR [--json]: compares what octoformer computes with a folder of reference results. Each number is the largest error over
 * what is allowed. Exit code 1 when something is out of tolerance or can't be compared.
 */
await main(async () => {
  const { values, positionals } = parse();
  if (positionals.length !== 1) throw new ScriptError(usage);
  const folder = resolve(positionals[0]);
  if (!existsSync(folder)) throw new ScriptError(`there is no folder ${folder}`);
  const write = process.stdout.write.bind(process.stdout);
  // With --json nothing else goes to standard output.
  if (values.json) process.stdout.write = process.stderr.write.bind(process.stderr);
  await setup();
  const { goldensReport } = loadTypeScript('test/ts/goldens/report.ts');
  const { isPassed, sectionText, summaryText } = loadTypeScript('test/ts/goldens/report_text.ts');
  const report = await goldensReport(folder, (section) => {
    if (!values.json) write(`\n${sectionText(section)}`);
  });
  write(values.json ? `${toJson(report)}\n` : `\n${summaryText(report)}`);
  return isPassed(report) ? 0 : 1;
});

function parse() {
  try {
    return parseArgs({ options: { json: { type: 'boolean', default: false } }, allowPositionals: true });
  } catch (error) {
    throw new ScriptError(`${error.message}\n${usage}`);
  }
}

/** JSON has no infinity: it becomes the largest double. */
function toJson(report) {
  return JSON.stringify(report, (_, value) =>
    typeof value === 'number' && !Number.isFinite(value) ? Number.MAX_VALUE : value,
  );
}
