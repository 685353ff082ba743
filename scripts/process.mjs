import { spawn, spawnSync } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's folder. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** What a script stops with: the message is all that the person needs to see. */
export class ScriptError extends Error {}

/** Lines of a failed command's output worth showing: compilers put the error at the end, npm at the beginning. */
const shownFirst = 15;
const shownLast = 50;

/**
 * Runs a command to its end and gives its status and output (null status: it could not be started).
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, show?: boolean, timeoutSeconds?: number }} [options]
 *   `show`: the output goes to the terminal as it comes and isn't returned.
 */
export function run(command, args, { cwd = root, env = {}, show = false, timeoutSeconds } = {}) {
  const result = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: show ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    // npm and its kin are .cmd files on Windows, which only a shell can start.
    shell: process.platform === 'win32' && !/[\\/]/.test(command),
    ...(timeoutSeconds ? { timeout: timeoutSeconds * 1000 } : {}),
  });
  return {
    status: result.status,
    signal: result.signal,
    missing: result.error?.code === 'ENOENT',
    output: show ? '' : `${result.stdout ?? ''}${result.stderr ?? ''}`,
    stdout: result.stdout ?? '',
  };
}

/**
 * Runs a command while others run, and gives its status and output.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined> }} [options]
 * @returns {Promise<{ status: number | null, signal: string | null, output: string }>}
 */
export function runBeside(command, args, { cwd = root, env = {} } = {}) {
  return new Promise((settle) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const pieces = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => pieces.push(piece));
    const end = (status, signal) => settle({ status, signal, output: Buffer.concat(pieces).toString() });
    child.on('error', (error) => {
      pieces.push(Buffer.from(error.message));
      end(null, null);
    });
    child.on('close', end);
  });
}

/** Like `run`, but a failure ends the script with the end of the output and, when given, what to do about it. */
export function runOrFail(what, command, args, { remedy = '', ...options } = {}) {
  const result = run(command, args, options);
  if (result.status === 0) return result;
  const shown = shorten(result.output);
  const end = result.missing ? `'${command}' was not found` : `exit status ${result.status ?? result.signal}`;
  throw new ScriptError(`${what} failed (${end})${shown ? `:\n${shown}` : ''}${remedy ? `\n${remedy}` : ''}`);
}

function shorten(output) {
  const lines = output.trimEnd().split('\n');
  if (lines.length <= shownFirst + shownLast) return lines.join('\n');
  const left = lines.length - shownFirst - shownLast;
  return [...lines.slice(0, shownFirst), `... (${left} lines)`, ...lines.slice(-shownLast)].join('\n');
}

/** Whether the command can be started. */
export function exists(command, args = ['--version']) {
  return run(command, args).status === 0;
}

/** Runs `action` and prints one line: what is done, and how long it took. */
export async function step(title, action) {
  const started = performance.now();
  process.stdout.write(`${title} ... `);
  try {
    const note = await action();
    process.stdout.write(`${note ? `${note}, ` : ''}${seconds(started)}\n`);
  } catch (error) {
    process.stdout.write(`failed after ${seconds(started)}\n`);
    throw error;
  }
}

/** Seconds since `started` (`performance.now()`). */
export function seconds(started) {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}

/** Runs a script's main function; its errors become a message and exit code 1. */
export async function main(action) {
  try {
    process.exitCode = (await action()) ?? 0;
  } catch (error) {
    process.stderr.write(`\n${error instanceof ScriptError ? error.message : (error?.stack ?? error)}\n`);
    process.exitCode = 1;
  }
}
