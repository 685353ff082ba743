import { OctoformerError } from '../binding/error';
import { resolveModelFiles } from '../hub';
import type { LoadOptions } from '../models/load_options';

/** Where a checkpoint is whose files of sentence-transformers are looked for. */
export interface SentenceSource extends Pick<LoadOptions, 'revision' | 'gguf_file' | 'signal' | 'onProgress'> {
  /** Who asks, for messages. */
  readonly where: string;
  readonly source: string;
}

/** What was found beside a model. */
export interface SentenceFiles {
  /** The file of each of the things that were looked for; undefined where there is none. */
  readonly paths: readonly (string | undefined)[];
  readonly folder: string;
  /** Of a hub id. */
  readonly commit?: string;
}

/**
 * Looks for files beside a model, and fetches those that a hub id has; a GGUF file has none.
 * @param wanted the names of each thing: the first name that there is a file of counts
 * @throws OctoformerError OFFLINE where the hub can't be asked and the cache does not tell whether there is a file, and what looking for files throws
 */
export async function findSentenceFiles(
  { where, source, gguf_file, revision, signal, onProgress }: SentenceSource,
  wanted: readonly (readonly string[])[],
  commit: string | undefined = undefined,
): Promise<SentenceFiles> {
  if (gguf_file !== undefined) return { paths: [], folder: source };
  const { asked, unknown, ...found } = await resolveModelFiles(source, {
    what: { files: wanted.flat() },
    revision: commit ?? revision,
    signal,
    onProgress,
  });
  const paths = wanted.map((names) => {
    for (const name of names) {
      const path = asked?.[name];
      if (path !== undefined) return path;
      if (!unknown?.includes(name)) continue;
      throw new OctoformerError(
        'OFFLINE',
        `${where}: the cache does not tell whether ${source} has a ${name}, and the hub can't be asked; open it once with the hub in reach, or say ` +
          "what the file would ('pooling', 'prompt')",
      );
    }
    return undefined;
  });
  return { paths, folder: found.folder, ...(found.commit === undefined ? {} : { commit: found.commit }) };
}
