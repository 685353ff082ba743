import type { FolderFacts } from './description';

/** The roles that tokens of fairseq's models have. */
export const fairseqRoles = {
  bos_token: '<s>',
  eos_token: '</s>',
  sep_token: '</s>',
  cls_token: '<s>',
  unk_token: '<unk>',
  pad_token: '<pad>',
  mask_token: '<mask>',
};

/** The four tokens that have the first ids of such models, whatever the SentencePiece file has there. */
export function fairseqBeginning(facts: FolderFacts, begin: 'bos_token' | 'cls_token' = 'bos_token'): string[] {
  return ([begin, 'pad_token', 'eos_token', 'unk_token'] as const).map((name) => facts.role(name));
}
