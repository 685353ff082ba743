/** A sequence that fills a batch's width, and the tokens of one that doesn't. */
export const whole = [6, 9, 8, 11, 7];
export const part = [12, 5, 10];

/** Both; two places of padding come before the tokens of the second. */
export const paddingFirst = (padding: number) => ({
  input_ids: [whole, [padding, padding, ...part]],
  attention_mask: [whole.map(() => 1), [0, 0, 1, 1, 1]],
});
