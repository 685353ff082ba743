/** Starts an engine under test (bench/workers) as a child process and asks it one thing at a time. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export class Engine {
  #child;
  #answers;

  /** @param {string} worker a file of bench/workers  @param {Record<string, string>} environment */
  constructor(worker, environment = {}) {
    const script = fileURLToPath(new URL(`./workers/${worker}`, import.meta.url));
    this.#child = spawn(process.execPath, [script], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(request) {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`the engine ended while it was asked for "${request.task}"`);
    const answer = JSON.parse(value);
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  close() {
    this.#child.stdin.end();
  }
}
