import { type DecoderSizes, type PreNormDecoderOptions, preNormDecoder } from '../modules/decoder';
import { type Architecture, familyName } from './architecture';
import { decoderSizes, type ModelConfig } from './config';
import { decoderTop } from './decoder_top';
import { ropeParameters } from './rope_config';

/** A family that is Llama but for what its configuration switches. */
export interface PreNormFamily extends Omit<Architecture, 'build'> {
  /** Of all norms, where no key of the configuration says it. */
  readonly epsilon?: number;
  /** What differs from Llama, with a rotary embedding as `ropeParameters` reads it unless another one is given. */
  readonly options: (
    config: ModelConfig,
    sizes: DecoderSizes,
  ) => Omit<PreNormDecoderOptions, 'family' | 'bare' | 'labels'>;
}

/** The architecture of a decoder that is all in one call of `preNormDecoder`. */
export function preNormFamily({ options, epsilon, ...family }: PreNormFamily): Architecture {
  return {
    ...family,
    build(config, g, task) {
      const sizes = decoderSizes(config, epsilon);
      const own = options(config, sizes);
      preNormDecoder(g, sizes, {
        family: familyName(family),
        ...decoderTop(config, task),
        ...(own.ropes ? {} : { rope: ropeParameters(config, sizes.headDim) }),
        ...own,
      });
    },
  };
}
