import type { GenerationStatistics } from '../generation/generation_run';
import { formatBytes } from './terminal';

/** What `--stats` tells of a generation. Rates are tokens a second; null where nothing was measured. */
export interface SpeedReport {
  readonly prompt_tokens: number;
  readonly new_tokens: number;
  readonly prompt_tokens_per_second: number | null;
  readonly decode_tokens_per_second: number | null;
  readonly time_to_first_token_ms: number;
  /** Largest resident set of the process so far, in bytes. */
  readonly peak_memory: number;
}

export function speedReport(statistics: GenerationStatistics): SpeedReport {
  return {
    prompt_tokens: statistics.promptTokens,
    new_tokens: statistics.newTokens,
    prompt_tokens_per_second: rate(statistics.promptTokens, statistics.promptMilliseconds),
    decode_tokens_per_second: rate(statistics.decodeTokens, statistics.decodeMilliseconds),
    time_to_first_token_ms: round(statistics.timeToFirstToken),
    peak_memory: process.resourceUsage().maxRSS * 1024, // libuv gives KiB on every system
  };
}

export function describeSpeed(report: SpeedReport): string {
  const speed = (value: number | null) => (value === null ? '' : ` (${value} tokens/s)`);
  return [
    `prompt ${report.prompt_tokens} tokens${speed(report.prompt_tokens_per_second)}`,
    `decode ${report.new_tokens} tokens${speed(report.decode_tokens_per_second)}`,
    `time to first token ${report.time_to_first_token_ms} ms`,
    `peak memory ${formatBytes(report.peak_memory)}`,
  ].join(' | ');
}

function rate(tokens: number, milliseconds: number): number | null {
  return tokens > 0 && milliseconds > 0 ? round((tokens / milliseconds) * 1000) : null;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
