/** onnxruntime-node on an encoder's ONNX file. Its package folder is given by PEERS_FOLDER. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { padded } from './padding.mjs';
import { serve, timed } from './serve.mjs';

const { InferenceSession, Tensor } = createRequire(path.join(process.env.PEERS_FOLDER, 'package.json'))(
  'onnxruntime-node',
);

let session;

await serve({
  async load({ model, threads }) {
    const { seconds, result } = await timed(() =>
      InferenceSession.create(model, { intraOpNumThreads: threads, interOpNumThreads: 1 }),
    );
    session = result;
    return { seconds };
  },
  async embed({ sequences }) {
    const { seconds, result } = await timed(() =>
      session.run(padded(sequences, (data, dims) => new Tensor('int64', data, dims))),
    );
    const { data, dims } = result.last_hidden_state;
    return { seconds, first: [...data.subarray(0, dims[2])] };
  },
});
