import type { GenerationStatistics } from './generation_run';

/** Of a clock that only runs forward. The global `performance` would load half a megabyte of Node.js's code. */
export function milliseconds(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Gathers the statistics of a generation. */
export class RunClock {
  readonly #start = milliseconds();
  #promptTokens = 0;
  #newTokens = 0;
  #decodeTokens = 0;
  #promptMilliseconds = 0;
  #decodeMilliseconds = 0;
  #timeToFirstToken = 0;
  #guessedTokens = 0;
  #acceptedTokens = 0;

  /** @param began when the run began, by `milliseconds()` */
  addRun(began: number, promptTokens: number, newTokens: number): void {
    const now = milliseconds();
    if (newTokens > 0 && this.#timeToFirstToken === 0) this.#timeToFirstToken = now - this.#start;
    this.#promptTokens += promptTokens;
    this.#newTokens += newTokens;
    if (promptTokens > 0) {
      this.#promptMilliseconds += now - began;
    } else {
      this.#decodeMilliseconds += now - began;
      this.#decodeTokens += newTokens;
    }
  }

  addGuesses(guessed: number, accepted: number): void {
    this.#guessedTokens += guessed;
    this.#acceptedTokens += accepted;
  }

  get statistics(): GenerationStatistics {
    return {
      promptTokens: this.#promptTokens,
      newTokens: this.#newTokens,
      promptMilliseconds: this.#promptMilliseconds,
      decodeMilliseconds: this.#decodeMilliseconds,
      decodeTokens: this.#decodeTokens,
      timeToFirstToken: this.#timeToFirstToken,
      guessedTokens: this.#guessedTokens,
      acceptedTokens: this.#acceptedTokens,
    };
  }
}
