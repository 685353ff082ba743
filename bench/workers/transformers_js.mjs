/** @huggingface/transformers (transformers.js) on an encoder's ONNX file. Its package folder is given by PEERS_FOLDER. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { padded } from './padding.mjs';
import { serve, timed } from './serve.mjs';

const require = createRequire(path.join(process.env.PEERS_FOLDER, 'package.json'));
const { AutoModel, Tensor, env } = await import(pathToFileURL(require.resolve('@huggingface/transformers')).href);
env.allowRemoteModels = false;
env.localModelPath = '/';

let model;

await serve({
  async load({ model: folder, dtype, threads }) {
    const { seconds, result } = await timed(() =>
      AutoModel.from_pretrained(folder, {
        dtype,
        device: 'cpu',
        session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
      }),
    );
    model = result;
    return { seconds };
  },
  async embed({ sequences }) {
    const { seconds, result } = await timed(() =>
      model(padded(sequences, (data, dims) => new Tensor('int64', data, dims))),
    );
    const { data, dims } = result.last_hidden_state;
    return { seconds, first: [...data.subarray(0, dims[2])] };
  },
});
