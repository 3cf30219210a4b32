/** Questions that need a terminal. */
import { Secret } from '../secret.ts';

interface Terminal {
  stdin: NodeJS.ReadStream;
  stderr: NodeJS.WriteStream;
}

/** Asks without echo; null where nobody can answer, or nothing was typed. */
export async function askPassphrase(terminal: Terminal, message: string): Promise<Secret | null> {
  const { stdin, stderr } = terminal;
  if (stdin.isTTY !== true || stderr.isTTY !== true) return null;
  const { password } = await import('@inquirer/prompts');
  const typed = await password({ message, mask: false }, { input: stdin, output: stderr }).catch(() => '');
  return typed === '' ? null : new Secret(typed);
}
