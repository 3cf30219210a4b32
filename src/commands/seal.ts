import { armor, encrypt } from '../age/age.ts';
import { KeyturnError } from '../errors.ts';
import { projectRoot } from '../here.ts';
import { loadProject } from '../manifests/project.ts';
import { Secret } from '../secret.ts';
import type { Command, Context } from './context.ts';
import { readAll } from './files.ts';

/** `keyturn seal`: stdin, encrypted to the reconcilers, as a `{ sealed: … }` reference for a manifest. */
export const seal: Command<[]> = async (context) => {
  const { reconcilers } = await loadProject(projectRoot(context.host.cwd));
  const value = await readValue(context, 'Value to seal');
  const armored = await armor(await encrypt(Buffer.from(value.reveal()), reconcilers));
  const indented = armored
    .trim()
    .split('\n')
    .map((line) => `  ${line}`);
  context.console.data(['sealed: |', ...indented].join('\n'));
  return 0;
};

/** A value from stdin, or asked for without echo on a terminal. One trailing newline is not part of it. */
export async function readValue({ host }: Context, question: string): Promise<Secret> {
  const text = host.stdin.isTTY === true ? await ask(question, host.stderr) : await readAll(host.stdin);
  const value = text.replace(/\r?\n$/, '');
  if (value === '')
    throw new KeyturnError('stdin', 'is empty', { hint: 'pipe the value in, e.g. keyturn seal < file' });
  return new Secret(value);
}

async function ask(message: string, output: NodeJS.WriteStream): Promise<string> {
  const { password } = await import('@inquirer/prompts');
  return password({ message, mask: true }, { output });
}
