import { Decrypter, Encrypter } from 'age-encryption';
import { decrypt } from '../src/age/age.ts';
import { generateBundle, parseIdentity } from '../src/state/identity.ts';
import { openVersion, sealVersion } from '../src/state/version-file.ts';
import { compare, type Row, timed } from './measure.ts';

const values = 200;
const place = {
  repo: '01M7XF74DBP7714ZB9PVR24E5P',
  uid: '01M7XF74Q75EWWWGHYVEKV2NRG',
  name: 'bench/a',
  v: 1,
};

/** One value sealed to three recipients and opened by one, `values` times in a row. */
export async function sealing(): Promise<Row[]> {
  const bundles = await Promise.all(['ci-1', 'admin-1', 'admin-2'].map(generateBundle));
  const recipients = bundles.map((bundle) => bundle.recipient);
  const identity = await parseIdentity(bundles[0]?.bundle.reveal() ?? '', 'bench');
  const { signer } = identity;
  const [own] = identity.ageIdentities;
  if (!signer || !own) throw new Error('the bundle lacks a key');
  const version = {
    ...place,
    binding: { type: 'mysql', host: 'db.internal', port: 3306, account: 'a@%', tls: 'system' },
    issuedAt: '2026-11-20T12:00:00.000Z',
    fields: { value: 'x'.repeat(32), fields: { username: 'a' } },
  };
  const sealed = await sealVersion(version, recipients, signer);
  const plain = await decrypt(sealed, identity.ageIdentities, 'bench');
  const bare = async (): Promise<Uint8Array> => {
    const encrypter = new Encrypter();
    for (const recipient of recipients) encrypter.addRecipient(recipient);
    return encrypter.encrypt(plain);
  };
  const bareFile = await bare();
  const bareOpen = async (): Promise<unknown> => {
    const decrypter = new Decrypter();
    decrypter.addIdentity(own.reveal());
    return decrypter.decrypt(bareFile);
  };
  const each = (work: () => Promise<unknown>) => () =>
    timed(async () => {
      for (let n = 0; n < values; n++) await work();
    });
  const against = 'age-encryption alone';
  const budget = null;
  return [
    await compare(
      { what: `seal ${values} values`, against, budget },
      5,
      each(bare),
      each(() => sealVersion(version, recipients, signer)),
    ),
    await compare(
      { what: `open ${values} values`, against, budget },
      5,
      each(bareOpen),
      each(() => openVersion(sealed, place, identity, 'bench')),
    ),
  ];
}
