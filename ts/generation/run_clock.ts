import type { GenerationStatistics } from './generation_run';

/** Gathers the statistics of a generation. */
export class RunClock {
  readonly #start = performance.now();
  #promptTokens = 0;
  #newTokens = 0;
  #decodeTokens = 0;
  #promptMilliseconds = 0;
  #decodeMilliseconds = 0;
  #timeToFirstToken = 0;
  #guessedTokens = 0;
  #acceptedTokens = 0;

  /** @param began when the run began, by `performance.now()` */
  addRun(began: number, promptTokens: number, newTokens: number): void {
    const now = performance.now();
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
