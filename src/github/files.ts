/** The files through which a step tells the runner what later steps are given. */
import { appendFileSync } from 'node:fs';
import { KeyturnError } from '../errors.ts';
import type { Host } from '../host.ts';

/** Variables of later steps: the caller masks what is secret. Throws a KeyturnError for a name that the runner refuses. */
export function exportVariables(host: Host, variables: ReadonlyMap<string, string>): void {
  for (const name of variables.keys())
    if (/^(GITHUB|RUNNER|INPUT|ACTIONS)_|^(CI|NODE_OPTIONS|PATH)$/i.test(name))
      throw new KeyturnError(name, 'is a variable that belongs to the runner', {
        hint: 'name another one: NAME=VAR',
      });
  append(host, 'GITHUB_ENV', variables);
}

/** `steps.ID.outputs.NAME`; nothing outside a runner. */
export function setOutputs(host: Host, outputs: Readonly<Record<string, string>>): void {
  if (host.env.GITHUB_OUTPUT) append(host, 'GITHUB_OUTPUT', new Map(Object.entries(outputs)));
}

/** `NAME<<end`, the lines, `end`: a random end, which no value can hold. */
function append({ env, random }: Host, file: string, pairs: ReadonlyMap<string, string>): void {
  const text = [...pairs].map(([name, value]) => {
    const end = `keyturn_${Buffer.from(random(16)).toString('hex')}`;
    return `${name}<<${end}\n${value}\n${end}\n`;
  });
  try {
    appendFileSync(env[file] ?? '', text.join(''));
  } catch (error) {
    const { code = 'no code' } = error as NodeJS.ErrnoException;
    throw new KeyturnError(file, `cannot be written (${code})`, {
      hint: 'this command is for a step of GitHub Actions',
    });
  }
}
