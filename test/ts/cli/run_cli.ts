import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const main = path.join(__dirname, '..', '..', '..', 'dist', 'cli', 'main.js');

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly input?: string;
  /** The input does not end after `input`. */
  readonly keepInputOpen?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  /** Ends the program with SIGINT once it has printed so many characters. */
  readonly interruptAfter?: number;
  /** Closes the pipe it prints to once it has printed so many characters. */
  readonly closeAfter?: number;
}

/** A folder of test/fixtures. */
export function fixture(...names: string[]): string {
  return path.join(__dirname, '..', '..', 'fixtures', ...names);
}

/** A copy of the tiny chat model with other values in its JSON files, in a new temporary folder; `remove()` deletes it. */
export function changedModel(changes: Readonly<Record<string, object>>): { folder: string; remove(): void } {
  const folder = mkdtempSync(path.join(tmpdir(), 'octoformer-cli-'));
  cpSync(fixture('models', 'llama-chat'), folder, { recursive: true });
  for (const [name, values] of Object.entries(changes)) {
    const file = path.join(folder, name);
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...values }));
  }
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Runs the built command line in a process of its own, with pipes on all sides; it can't reach a hub. */
export async function runCli(given: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  if (!existsSync(main)) throw new Error(`${main} is not there; 'npm run build:ts' makes it`);
  const child = spawn(process.execPath, [main, ...given], {
    env: { ...process.env, HF_HUB_OFFLINE: '1', ...options.environment },
  });
  let stdout = '';
  let stderr = '';
  let isInterrupted = false;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    if (!isInterrupted && options.interruptAfter !== undefined && stdout.length >= options.interruptAfter) {
      isInterrupted = child.kill('SIGINT'); // once: a second one would end it at once
    }
    if (options.closeAfter !== undefined && stdout.length >= options.closeAfter) child.stdout.destroy();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.on('error', () => {}); // a program that refuses its arguments does not read its input
  child.stdin.write(options.input ?? '');
  if (!options.keepInputOpen) child.stdin.end();
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', resolve);
  });
  return { status, stdout, stderr };
}
