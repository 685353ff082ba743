import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from '../../../ts';
import { bitsandbytesFolders, versions } from './bitsandbytes';
import { compareChatTemplates } from './chat_template';
import type { Comparison } from './comparison';
import { compareGguf, ggufCases } from './gguf';
import { compareAnswer, goldenPipelines, openGolden } from './pipeline';
import { processorCases } from './processors';
import { quantizationCases } from './quantization';
import {
  compareEmbeddings,
  compareGreedyAnswers,
  comparePrompt,
  embeddingBounds,
  miniLMFolder,
  realPrompts,
  smolLM2File,
} from './real';
import { AbsentError, type Candidate, type Plan } from './report_plan';
import { compareTokenizer, type GoldenTokenizer, readJson, readTokenizer } from './tokenizer';

const column = 'result';

/** Everything but the models; a section is empty where the folder doesn't have it. */
export function otherSections(folder: string): Plan[] {
  const sections: Readonly<Record<string, (part: string) => Candidate[]>> = {
    processors,
    tokenizers,
    chat_templates: chatTemplates,
    pipelines,
    gguf: (part) => ggufCases(part).map((one) => candidate(one.file, () => compareGguf(one))),
    bitsandbytes,
    quantization: (part) => quantizationCases(part).map((one) => candidate(one.name, () => one.compare())),
    real: realModels,
  };
  return Object.entries(sections).map(([name, candidates]) => ({
    name: name.replace('_', ' '),
    columns: [column],
    candidates: () => candidates(join(folder, name)),
  }));
}

function candidate(name: string, compare: () => Comparison[] | Promise<Comparison[]>): Candidate {
  return {
    name,
    async *compare() {
      yield [column, await compare()];
    },
  };
}

/** One row a processor: all cases that it is in. */
function processors(folder: string): Candidate[] {
  const cases = processorCases(folder);
  const names = [...new Set(cases.flatMap((one) => one.processors))].sort();
  return names.map((name) =>
    candidate(name, () => cases.filter((one) => one.processors.includes(name)).flatMap((one) => one.compare())),
  );
}

function tokenizers(folder: string): Candidate[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'golden.json')))
    .map((name) =>
      candidate(name, () => {
        const golden = readJson(folder, name, 'golden.json') as GoldenTokenizer;
        return compareTokenizer(readTokenizer(join(folder, name)), golden);
      }),
    );
}

function chatTemplates(folder: string): Candidate[] {
  return [...compareChatTemplates(folder)].map(([name, comparisons]) => candidate(name, () => comparisons));
}

function pipelines(folder: string): Candidate[] {
  return goldenPipelines(folder).map((golden) => ({
    name: golden.folder,
    async *compare() {
      const { run, dispose } = await openGolden(golden);
      try {
        for (const one of golden.cases) yield [column, [await compareAnswer(run, one)]];
      } finally {
        await dispose();
      }
    },
  }));
}

function bitsandbytes(folder: string): Candidate[] {
  return bitsandbytesFolders(folder).flatMap((one) =>
    Object.keys(versions).map((version) => candidate(`${one.name} ${version}`, () => one.compare(version))),
  );
}

function realModels(folder: string): Candidate[] {
  const prompts = realPrompts(join(folder, 'smollm2'));
  const miniLM = join(folder, 'minilm');
  const needed = (found: string | undefined, command: string) => {
    if (found !== undefined) return found;
    throw new AbsentError(`its weights are not on this machine: ${command} fetches them`);
  };
  const embeddings = (form: keyof typeof embeddingBounds, quantization: 'none' | 'int8') =>
    candidate(`all-MiniLM-L6-v2 ${form}`, () =>
      compareEmbeddings(
        needed(miniLMFolder(), 'npm run demo -- embed'),
        miniLM,
        { quantization },
        embeddingBounds[form],
      ),
    );
  return [
    ...(prompts.length > 0
      ? [
          candidate('SmolLM2-135M-Instruct', async () => {
            await using generator = await pipeline('text-generation', needed(smolLM2File(), 'npm run demo'));
            const comparisons: Comparison[] = [];
            for (const prompt of prompts) comparisons.push(...(await comparePrompt(generator, prompt)));
            return [...comparisons, ...(await compareGreedyAnswers(generator, prompts))];
          }),
        ]
      : []),
    ...(existsSync(join(miniLM, 'golden.json')) ? [embeddings('float32', 'none'), embeddings('int8', 'int8')] : []),
  ];
}
