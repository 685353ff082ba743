/** Batches of sequences of different lengths, for engines that pad. */

/** The inputs of an encoder's ONNX file by name, made by `tensor(BigInt64Array, dims)`. */
export function padded(sequences, tensor) {
  const longest = Math.max(...sequences.map((sequence) => sequence.length));
  const dims = [sequences.length, longest];
  const ids = new BigInt64Array(sequences.length * longest);
  const mask = new BigInt64Array(ids.length);
  for (const [row, sequence] of sequences.entries()) {
    for (const [i, id] of sequence.entries()) ids[row * longest + i] = BigInt(id);
    mask.fill(1n, row * longest, row * longest + sequence.length);
  }
  return {
    input_ids: tensor(ids, dims),
    attention_mask: tensor(mask, dims),
    token_type_ids: tensor(new BigInt64Array(ids.length), dims),
  };
}
