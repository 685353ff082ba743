/**
 * What every engine under test looks like to the benchmark: a child process that reads one JSON request a line and answers
 * with one JSON line. So engines stay loaded side by side and are measured by turns, in the same run.
 *
 * Requests: `{ task: 'load', model, dtype, threads, context }`, `{ task: 'prefill', tokens }`, `{ task: 'decode', tokens, count }`
 * (`tokens` is an untimed prompt, then `count` greedy tokens are timed), `{ task: 'memory' }`.
 * Answers: `{ seconds }`, `{ seconds, ids }`, `{ peakBytes }`, or `{ error }`.
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
