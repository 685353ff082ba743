import type { AttentionOp } from '../../../ts/graph/attention_ops';
import type { Program } from '../../../ts/graph/program';
import type { ConfigValues } from '../../../ts/models/config';
import { findArchitecture } from '../../../ts/models/registry';
import { relativePlaces } from '../../../ts/modules/disentangled_attention';
import { failure } from '../failure';
import { builderOver, headers } from '../graph/tensors';

describe('places of distances', () => {
  // What make_log_bucket_position of transformers 5.23 gives, moved and cut as its caller does.
  it.each([
    [
      8,
      64,
      [0, 1, 3, 4, 5, 8, 16, 31, 63, 64, 100],
      [
        [8, 9, 11, 12, 13, 13, 14, 15, 15, 15, 15],
        [8, 7, 5, 4, 3, 3, 2, 1, 1, 0, 0],
      ],
    ],
    [
      256,
      512,
      [0, 127, 128, 129, 200, 300, 510, 511, 512, 2000],
      [
        [256, 383, 384, 385, 425, 463, 511, 511, 511, 511],
        [256, 129, 128, 127, 87, 49, 1, 1, 0, 0],
      ],
    ],
    [
      5,
      30,
      [0, 2, 3, 14, 29, 30, 100, 420, 1000],
      [
        [5, 7, 8, 8, 8, 9, 9, 9, 9],
        [5, 3, 2, 2, 2, 1, 1, 1, 0],
      ],
    ],
  ])('%i buckets up to a distance of %i', (buckets, maxDistance, distances, places) => {
    const index = relativePlaces({ buckets, maxDistance });
    const reach = (index.length - 1) / 2;
    const at = (distance: number) => index[reach + Math.min(Math.max(distance, -reach), reach)];
    expect([distances.map(at), distances.map((distance) => at(-distance))]).toEqual(places);
  });

  it('without buckets, every distance up to the largest has its own', () => {
    expect(relativePlaces({ buckets: 0, maxDistance: 3 })).toEqual([0, 1, 2, 3, 4, 5, 5]);
  });
});

const small = {
  model_type: 'deberta-v2',
  vocab_size: 20,
  hidden_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 3,
  intermediate_size: 16,
  relative_attention: true,
  position_buckets: 4,
  max_position_embeddings: 16,
};

/** The shapes that the layers need, whatever the positions are. */
const content = Object.fromEntries([
  ['embeddings.word_embeddings.weight', [20, 12]],
  ['embeddings.position_embeddings.weight', [16, 12]],
  ['encoder.rel_embeddings.weight', [8, 12]],
  ...['embeddings', 'encoder.layer.0.attention.output', 'encoder.layer.0.output'].flatMap((name) => [
    [`${name}.LayerNorm.weight`, [12]],
    [`${name}.LayerNorm.bias`, [12]],
  ]),
  ...['self.query_proj', 'self.key_proj', 'self.value_proj', 'self.pos_key_proj', 'self.pos_query_proj', 'output.dense']
    .map((name) => `encoder.layer.0.attention.${name}`)
    .flatMap((name) => [
      [`${name}.weight`, [12, 12]],
      [`${name}.bias`, [12]],
    ]),
  ['encoder.layer.0.intermediate.dense.weight', [16, 12]],
  ['encoder.layer.0.intermediate.dense.bias', [16]],
  ['encoder.layer.0.output.dense.weight', [12, 16]],
  ['encoder.layer.0.output.dense.bias', [12]],
]) as Readonly<Record<string, readonly number[]>>;

function build(values: ConfigValues): Program {
  const { architecture, config } = findArchitecture({ ...small, ...values }, 'config.json', 'base');
  const g = builderOver(headers(content));
  architecture.build(config, g, 'base');
  return g.lower();
}

const attention = (values: ConfigValues) =>
  build(values).ops.find((op): op is AttentionOp => op.op === 'attention') as AttentionOp;

it('has the terms that are asked for, by matrices of their own or of the content', () => {
  const found = (values: ConfigValues) => {
    const { positions, scale } = attention(values);
    return [positions?.keys !== undefined, positions?.queries !== undefined, Math.round(scale ** -2)];
  };
  expect(found({ pos_att_type: ['c2p', 'p2c'] })).toEqual([true, true, 12]);
  expect(found({ pos_att_type: 'P2C' })).toEqual([false, true, 8]);
  expect(found({ pos_att_type: ['c2p'], share_att_key: true })).toEqual([true, false, 8]);
  expect(found({})).toEqual([false, false, 4]);
  expect(attention({ relative_attention: false, pos_att_type: ['c2p'] }).positions).toBeUndefined();
  const names = (values: ConfigValues) => build(values).weights.map(({ name }) => name);
  expect(names({ pos_att_type: ['p2c'] })).toContain('encoder.layer.0.attention.self.pos_query_proj.weight');
  const shared = names({ pos_att_type: ['p2c'], share_att_key: true });
  expect(shared.filter((name) => name.includes('query'))).toEqual([
    'encoder.layer.0.attention.self.query_proj+key_proj.weight',
    'encoder.layer.0.attention.self.query_proj+key_proj.bias',
  ]);
});

it.each([
  [{ conv_kernel_size: 3 }, 'UNSUPPORTED_ARCHITECTURE', 'conv_kernel_size'],
  [{ pos_att_type: ['c2p', 'p2p'] }, 'UNSUPPORTED_ARCHITECTURE', 'pos_att_type'],
  [{ norm_rel_ebd: 'batch_norm' }, 'UNSUPPORTED_ARCHITECTURE', 'norm_rel_ebd'],
  [{ position_buckets: 1 }, 'INVALID_CHECKPOINT', 'position_buckets'],
  [{ position_buckets: 8, max_relative_positions: 5 }, 'INVALID_CHECKPOINT', 'position_buckets'],
  [{ attention_head_size: 5 }, 'INVALID_CHECKPOINT', 'attention_head_size'],
])('%j is refused by its key', (values, code, key) => {
  const error = failure(() => build(values));
  expect([error.code, error.message]).toEqual([code, expect.stringContaining(`'${key}'`)]);
});
