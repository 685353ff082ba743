import { OctoformerError } from '../binding/error';

/** Ctrl-C as an abort signal: the first aborts what runs, a second one (nothing answers any more) ends the process at once. */
export class Interrupt {
  #controller = new AbortController();
  readonly #listener = () => {
    if (this.#controller.signal.aborted) process.exit(INTERRUPTED);
    this.#controller.abort(new OctoformerError('ABORTED', 'interrupted'));
  };

  constructor() {
    process.on('SIGINT', this.#listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Does what Ctrl-C does. */
  raise(): void {
    this.#listener();
  }

  /** A new signal, for the next piece of work. */
  renew(): AbortSignal {
    this.#controller = new AbortController();
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    process.off('SIGINT', this.#listener);
  }
}

/** Exit code of a program that SIGINT ended: 128 + 2, as shells count. */
export const INTERRUPTED = 130;

/** Whether an error only says that the person stopped it. */
export function isAborted(error: unknown): boolean {
  return OctoformerError.is(error) && error.code === 'ABORTED';
}
