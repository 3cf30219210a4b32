import { generateIdentity, recipientOf } from '../age/age.ts';
import { KeyturnError } from '../errors.ts';
import { generateBundle } from '../state/identity.ts';
import type { Command } from './context.ts';
import { writeNew } from './files.ts';

/** `keyturn keygen`: an identity for a reconciler (with a signing key) or a reader. Never overwrites one. */
export const keygen: Command<[{ out?: string | undefined; reader: boolean; name: string }]> = async (
  { console, host },
  { out, reader, name },
) => {
  if (out === undefined && host.stdout.isTTY === true)
    throw new KeyturnError('keygen', 'would print a private key on the terminal', {
      hint: 'write it to a file with --out FILE, or pipe it where it belongs',
    });
  if (reader) {
    const identity = generateIdentity();
    const recipient = await recipientOf(identity);
    const text = `# keyturn reader identity\n# recipient: ${recipient}\n${identity.reveal()}\n`;
    if (out === undefined) console.value(text);
    else await writeNew(host.cwd, out, text, 0o600);
    console.words(`keyturn: recipient, for a Role's members:\n${recipient}`);
    return 0;
  }
  const { bundle, recipient, trustLine } = await generateBundle(name);
  if (out === undefined) console.value(bundle.reveal());
  else await writeNew(host.cwd, out, bundle.reveal(), 0o600);
  console.words(
    [
      "keyturn: recipient, for keyturn.yaml's spec.reconcilers:",
      recipient,
      'keyturn: trust line, for the identity of everybody who must accept what this one signs:',
      trustLine,
    ].join('\n'),
  );
  return 0;
};
