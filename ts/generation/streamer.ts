/** Gets tokens while they are made, as in Hugging Face: first the whole prompt, then each new token, then `end()`. */
export interface Streamer {
  put(ids: readonly number[]): void;
  end(): void;
}
