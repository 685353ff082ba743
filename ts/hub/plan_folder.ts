import { join } from 'node:path';
import { folderListing } from './file_listing';
import { CHAT_TEMPLATES_FOLDER, type FilePlan, type FileRequest, type ModelFiles, planFiles } from './model_files';

/** The files of a folder that a request needs. */
export async function planFolder(folder: string, request: FileRequest): Promise<ModelFiles> {
  return atFolder(folder, await planFiles(await folderListing(folder, [CHAT_TEMPLATES_FOLDER]), request));
}

/** A plan with the paths that its files have in a folder. */
export function atFolder(folder: string, plan: FilePlan, commit?: string): ModelFiles {
  const at = (name: string) => join(folder, ...name.split('/'));
  const tokenizerFiles = Object.fromEntries(Object.entries(plan.tokenizerFiles).map(([key, name]) => [key, at(name)]));
  const weights = plan.weights.map(at);
  return {
    kind: plan.kind,
    folder,
    ...(plan.config === undefined ? {} : { config: at(plan.config) }),
    ...(plan.generationConfig === undefined ? {} : { generationConfig: at(plan.generationConfig) }),
    ...(plan.quantization === undefined ? {} : { quantization: at(plan.quantization) }),
    weights,
    tokenizerFiles,
    ...(plan.asked === undefined ? {} : { asked: Object.fromEntries(plan.asked.map((name) => [name, at(name)])) }),
    ...(plan.chatTemplates === undefined ? {} : { chatTemplates: plan.chatTemplates.map(at) }),
    ...(plan.kind === 'gguf' && weights[0] !== undefined ? { gguf: weights[0] } : {}),
    ...(commit === undefined ? {} : { commit }),
  };
}
