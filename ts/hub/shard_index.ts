import { OctoformerError } from '../binding/error';
import { type FileListing, isInnerFileName } from './file_listing';
import { isRecord } from './record';
import { quote } from './repository_id';

export const INDEX_FILE = 'model.safetensors.index.json';

// About 100 bytes a tensor: room for half a million tensors; the largest published index (a 1,000-billion-parameter mixture
// of experts) is under 15 MB.
const MAX_INDEX_BYTES = 64 * 1024 * 1024;

/**
 * The shard files that `model.safetensors.index.json` names, each once, sorted as transformers sorts them.
 *
 * @throws OctoformerError INVALID_CHECKPOINT when the index is no such JSON or names a file outside its folder.
 */
export async function parseShardIndex(listing: FileListing): Promise<readonly string[]> {
  const where = `${INDEX_FILE} in ${listing.place}`;
  const text = await listing.readText(INDEX_FILE, MAX_INDEX_BYTES);
  let index: unknown;
  try {
    index = JSON.parse(text);
  } catch (cause) {
    throw new OctoformerError('INVALID_CHECKPOINT', `${where} is no valid JSON; fetch it again`, { cause });
  }
  const map = isRecord(index) ? index.weight_map : undefined;
  if (!isRecord(map)) {
    throw new OctoformerError('INVALID_CHECKPOINT', `${where} has no object 'weight_map' that maps tensors to files`);
  }
  const shards = new Set<string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !isInnerFileName(file) || !file.endsWith('.safetensors')) {
      throw new OctoformerError(
        'INVALID_CHECKPOINT',
        `${where} maps tensor ${quote(tensor)} to ${quote(String(file))}, which is no .safetensors file of the same folder`,
      );
    }
    shards.add(file);
  }
  if (shards.size === 0) throw new OctoformerError('INVALID_CHECKPOINT', `${where} names no tensors`);
  return [...shards].sort();
}
