/**
 * What every engine under test looks like to the benchmark: a child process that reads one JSON request a line and answers
 * with one JSON line. So engines stay loaded side by side and are measured by turns, in the same run. serve.py is the same in Python.
 *
 * Requests: `{ task: 'load', model, threads, ...settings }` first; then of decoders `{ task: 'prefill', tokens }`,
 * `{ task: 'decode', tokens, count }` (`tokens` is an untimed prompt, then `count` greedy tokens are timed) and
 * `{ task: 'batch', prompts, count }` (prompts of one length are read and `count` greedy tokens made for each, all of it timed); of encoders
 * `{ task: 'embed', sequences }`; of encoder-decoders `{ task: 'translate', sources, count, beams }` (the best of each search); of all `{ task: 'memory' }`.
 * Answers: `{ seconds }`, with the `ids` of a decode or of the first translation, the number of `tokens` that a batch or translations made, the `first` sequence's first row of the last hidden
 * state; `{ peakBytes }`; or `{ error }`.
 */
import { createInterface } from 'node:readline';

/** @param {Record<string, (request: Record<string, unknown>) => Promise<object>>} tasks */
export async function serve(tasks) {
  const memory = async () => ({ peakBytes: process.resourceUsage().maxRSS * 1024 });
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const task = request.task === 'memory' ? memory : tasks[request.task];
    let answer;
    try {
      answer = task ? await task(request) : { error: `unknown task ${request.task}` };
    } catch (error) {
      answer = { error: String(error?.stack ?? error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

/** Seconds that `work` takes, with what it returns. */
export async function timed(work) {
  const start = process.hrtime.bigint();
  const result = await work();
  return { seconds: Number(process.hrtime.bigint() - start) / 1e9, result };
}
