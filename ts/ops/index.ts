export * from '../quantization/int8_ops';
export * from './float_ops';
