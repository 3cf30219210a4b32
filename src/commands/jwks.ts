import { KeyturnError } from '../errors.ts';
import { identityOf } from '../here.ts';
import { jwksOf } from '../state/signing.ts';
import type { Command } from './context.ts';

/** `keyturn jwks`: the keys of everybody whose signature this identity accepts, as a JSON Web Key Set. */
export const jwks: Command<[{ kid?: string[] | undefined }]> = async (
  { console, host, identity },
  { kid },
) => {
  const { trust, source } = await identityOf(host, identity);
  for (const name of kid ?? [])
    if (!trust.has(name))
      throw new KeyturnError(name, `is no signer that ${source} trusts`, {
        hint: `it trusts ${[...trust.keys()].join(', ') || 'nobody'}`,
      });
  const chosen = new Map([...trust].filter(([name]) => kid === undefined || kid.includes(name)));
  if (chosen.size === 0)
    throw new KeyturnError(source, 'holds no signing key and trusts none', {
      hint: 'use the identity of a reconciler; keyturn keygen makes one',
    });
  console.data(JSON.stringify(jwksOf(chosen), null, 2));
  return 0;
};
