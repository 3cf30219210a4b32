#!/usr/bin/env node
/** argv -> command, exit code; the only process.exit. */
import { realpathSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { ChildExit, ExitCode } from './errors.ts';
import { dumpNoMemory, type Host, systemHost } from './host.ts';

/** Runs one command and says how it ended. Everything that it touches comes from `host`. */
export async function main(argv: readonly string[], host: Host): Promise<ExitCode | ChildExit> {
  const { buildProgram } = await import('./commands/program.ts');
  return buildProgram(host)(argv);
}

const isEntry = (): boolean => {
  const [, script] = process.argv;
  return script !== undefined && import.meta.url === pathToFileURL(realpathSync(script)).href;
};

if (isEntry()) {
  enableCompileCache?.();
  dumpNoMemory();
  const host = systemHost();
  const end = async (error: unknown): Promise<void> => {
    const { sayLastWords } = await import('./output/last-words.ts');
    sayLastWords(error, host);
    process.exit(1);
  };
  process.on('uncaughtException', end);
  // nothing is left that could answer, and somebody still waits
  process.once('beforeExit', () => end(new Error('waits for nothing')));
  process.exit(await main(process.argv.slice(2), host));
}
