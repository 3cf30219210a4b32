/** Which permission is missing, found out without changing anything: by asking for a key that cannot exist. */
import type { IssuedJob, Privileges } from '../issued.ts';
import { type Answer, classify, NoSession } from './classify.ts';
import { type Clients, clientsFor } from './clients.ts';
import { actions } from './policy.ts';

type Action = (typeof actions)[number];

/** A well-formed id that AWS never gives out. */
const nobody = 'AKIA0000000000000000';

export async function missingPermissions(job: IssuedJob): Promise<Privileges> {
  const { username: UserName, target } = job;
  const iam = await import('@aws-sdk/client-iam');
  const clients = await clientsFor(job).catch((error: unknown) => {
    if (error instanceof NoSession) return null;
    throw error;
  });
  if (clients === null) return { missing: [], unknown: [...actions] };
  const patience = () => ({ abortSignal: AbortSignal.timeout(target.timeout) });
  const asks: [Action, (of: Clients) => Promise<unknown>][] = [
    ['iam:ListAccessKeys', (c) => c.iam.send(new iam.ListAccessKeysCommand({ UserName }), patience())],
    [
      'iam:UpdateAccessKey',
      (c) =>
        c.iam.send(
          new iam.UpdateAccessKeyCommand({ UserName, AccessKeyId: nobody, Status: 'Inactive' }),
          patience(),
        ),
    ],
    [
      'iam:DeleteAccessKey',
      (c) => c.iam.send(new iam.DeleteAccessKeyCommand({ UserName, AccessKeyId: nobody }), patience()),
    ],
    [
      'iam:GetAccessKeyLastUsed',
      (c) => c.iam.send(new iam.GetAccessKeyLastUsedCommand({ AccessKeyId: nobody }), patience()),
    ],
  ];
  const found: Privileges = { missing: [], unknown: ['iam:CreateAccessKey'] };
  try {
    for (const [action, ask] of asks) {
      const answer = await ask(clients).then(
        (): Answer['r'] => 'absent',
        (error) => classify(error).r,
      );
      if (answer === 'permission') found.missing.push(action);
      else if (answer !== 'absent') found.unknown.push(action);
    }
    return found;
  } finally {
    clients.close();
  }
}
