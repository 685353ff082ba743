/** Starts an engine under test (bench/workers) as a child process and asks it one thing at a time. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { npmFolder } from './peers/places.mjs';

export class Engine {
  #child;
  #answers;

  /**
   * @param {string} worker a file of bench/workers, for Node.js or Python
   * @param {string | null} python what runs the latter
   */
  constructor(worker, python) {
    const script = fileURLToPath(new URL(`./workers/${worker}`, import.meta.url));
    this.#child = spawn(worker.endsWith('.py') ? python : process.execPath, [script], {
      stdio: ['pipe', 'pipe', process.env.OCTOFORMER_DEBUG ? 'inherit' : 'ignore'],
      env: { ...process.env, PEERS_FOLDER: npmFolder, HF_HUB_OFFLINE: '1', PYTHONDONTWRITEBYTECODE: '1' },
    });
    this.#child.on('error', () => {}); // an engine that can't be started ends its answers
    this.#child.stdin.on('error', () => {});
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
