import { Secret } from '../../secret.ts';
import type { Probe } from '../driver.ts';
import type {
  Issued,
  IssuedJob,
  IssuedKey,
  IssuedPreflight,
  IssuedRotator,
  IssueResult,
  LastUse,
  Listing,
  Refusal,
  RemoveResult,
} from '../issued.ts';
import { accountOf, userOf } from './account.ts';
import { type Answer, classify, learnedTime } from './classify.ts';
import { type Clients, clientsFor, release, stsAs } from './clients.ts';
import { type actions, allow } from './policy.ts';

type Action = (typeof actions)[number];

/** AWS allows two keys: a list of more pages is no list. */
const most = 20;

/** One IAM user's access keys. No text of AWS leaves it: only codes. */
export class AwsRotator implements IssuedRotator {
  readonly #job: IssuedJob;
  #clients: Promise<Clients> | undefined;
  #sound = true;

  constructor(job: IssuedJob) {
    this.#job = job;
  }

  async preflight(): Promise<IssuedPreflight> {
    const { target, actor, username } = this.#job;
    const { accountId } = accountOf(target);
    let arn = '';
    try {
      const { GetCallerIdentityCommand } = await import('@aws-sdk/client-sts');
      const { sts } = await this.#signed();
      const identity = await sts.send(new GetCallerIdentityCommand({}), this.#patience());
      arn = identity.Arn ?? '';
      if (identity.Account !== accountId)
        return this.#wrongAccount(
          `the credentials belong to account ${identity.Account}, not to ${accountId}`,
        );
      if (actor === 'self' && userOf(arn) !== username)
        return this.#wrongAccount(
          `the current key belongs to ${userOf(arn) ?? 'no user'}, not to ${username}`,
        );
    } catch (error) {
      return this.#no(classify(error), 'iam:ListAccessKeys');
    }
    const listing = await this.list();
    if (listing.r !== 'listed') return listing;
    const { heard } = await this.#signed();
    const server = `AWS account ${accountId} as ${arn}`;
    return { r: 'ready', server, at: heard.at, keys: listing.keys, warnings: [] };
  }

  async list(): Promise<Listing> {
    const keys: IssuedKey[] = [];
    try {
      const { ListAccessKeysCommand } = await import('@aws-sdk/client-iam');
      const { iam } = await this.#signed();
      let marker: string | undefined;
      for (let pages = 0; pages < most; pages += 1) {
        const page = await iam.send(
          new ListAccessKeysCommand({
            UserName: this.#job.username,
            ...(marker === undefined ? {} : { Marker: marker }),
          }),
          this.#patience(),
        );
        for (const key of page.AccessKeyMetadata ?? [])
          keys.push({
            handle: key.AccessKeyId ?? '',
            createdAt: (key.CreateDate ?? new Date(0)).toISOString(),
            active: key.Status === 'Active',
          });
        if (page.IsTruncated !== true || page.Marker === undefined) return { r: 'listed', keys };
        marker = page.Marker;
      }
      throw Object.assign(new Error(), { code: 'ENDLESS' });
    } catch (error) {
      return this.#no(classify(error), 'iam:ListAccessKeys');
    }
  }

  async issue(): Promise<IssueResult> {
    let clients: Clients;
    try {
      clients = await this.#signed();
      // the clock's offset was learned by a call that may be repeated
      clients.once.config.systemClockOffset = clients.iam.config.systemClockOffset;
    } catch (error) {
      const no = this.#no(classify(error), 'iam:CreateAccessKey');
      return no.r === 'unreachable' ? { ...no, r: 'not-sent' } : no;
    }
    try {
      const { CreateAccessKeyCommand } = await import('@aws-sdk/client-iam');
      const command = new CreateAccessKeyCommand({ UserName: this.#job.username });
      const { AccessKey: key } = await clients.once.send(command, this.#patience());
      if (!key?.AccessKeyId || !key.SecretAccessKey)
        return { r: 'ambiguous', code: 'empty', detail: 'the answer holds no key' };
      return { r: 'issued', issued: { handle: key.AccessKeyId, value: new Secret(key.SecretAccessKey) } };
    } catch (error) {
      const answer = classify(error);
      const { code, detail } = answer;
      if (answer.r === 'unknown') return { r: 'ambiguous', code, detail };
      if (answer.r === 'busy' || answer.r === 'not-sent') return { r: 'not-sent', code, detail };
      return this.#no(answer, 'iam:CreateAccessKey') as Refusal;
    }
  }

  async verify(issued: Issued): Promise<Probe> {
    const { target, username } = this.#job;
    const sts = await stsAs(target, issued);
    const { GetCallerIdentityCommand } = await import('@aws-sdk/client-sts');
    const ask = () => sts.send(new GetCallerIdentityCommand({}), this.#patience());
    try {
      const { Account, Arn = '' } = await ask().catch((error: unknown) => {
        if (!learnedTime(error)) throw error;
        return ask();
      });
      if (Account === accountOf(target).accountId && userOf(Arn) === username)
        return { r: 'ok', code: 'OK', detail: `AWS answered it as ${username}` };
      const detail = `it belongs to ${userOf(Arn) ?? 'no user'} of account ${Account}`;
      return { r: 'inconclusive', code: 'WRONG_ACCOUNT', detail };
    } catch (error) {
      const { r, code, detail } = classify(error);
      return {
        r: r === 'denied' ? 'denied' : r === 'permission' ? 'inconclusive' : 'unreachable',
        code,
        detail,
      };
    } finally {
      sts.destroy();
    }
  }

  disable(handle: string): Promise<RemoveResult> {
    return this.#change('iam:UpdateAccessKey', async ({ iam }) => {
      const { UpdateAccessKeyCommand } = await import('@aws-sdk/client-iam');
      const input = { UserName: this.#job.username, AccessKeyId: handle, Status: 'Inactive' } as const;
      await iam.send(new UpdateAccessKeyCommand(input), this.#patience());
    });
  }

  remove(handle: string): Promise<RemoveResult> {
    return this.#change('iam:DeleteAccessKey', async ({ iam }) => {
      const { DeleteAccessKeyCommand } = await import('@aws-sdk/client-iam');
      const input = { UserName: this.#job.username, AccessKeyId: handle };
      await iam.send(new DeleteAccessKeyCommand(input), this.#patience());
    });
  }

  async lastUsedAt(handle: string): Promise<LastUse> {
    try {
      const { GetAccessKeyLastUsedCommand } = await import('@aws-sdk/client-iam');
      const { iam } = await this.#signed();
      const command = new GetAccessKeyLastUsedCommand({ AccessKeyId: handle });
      const { AccessKeyLastUsed } = await iam.send(command, this.#patience());
      return { r: 'known', at: AccessKeyLastUsed?.LastUsedDate?.toISOString() ?? null };
    } catch (error) {
      const { code, detail } = classify(error);
      return { r: 'unknown', code, detail };
    }
  }

  async close(): Promise<void> {
    const clients = await this.#clients?.catch(() => undefined);
    if (clients) await release(this.#job, clients, this.#sound);
    this.#clients = undefined;
  }

  #signed(): Promise<Clients> {
    this.#clients ??= clientsFor(this.#job);
    return this.#clients;
  }

  #patience(): { abortSignal: AbortSignal } {
    return { abortSignal: AbortSignal.timeout(this.#job.target.timeout) };
  }

  async #change(action: Action, send: (clients: Clients) => Promise<void>): Promise<RemoveResult> {
    try {
      await send(await this.#signed());
      return { r: 'done' };
    } catch (error) {
      const answer = classify(error);
      return answer.r === 'absent' ? { r: 'done' } : this.#no(answer, action);
    }
  }

  #wrongAccount(detail: string): Refusal {
    return {
      r: 'refused',
      why: 'wrong-account',
      code: 'WRONG_ACCOUNT',
      detail,
      hint: 'correct accountId and username in the manifests, or give this job the right credentials',
    };
  }

  #no(answer: Answer, action: Action): Refusal | { r: 'unreachable'; code: string; detail: string } {
    this.#sound = false;
    const { r, code, detail } = answer;
    const { target, actor, username } = this.#job;
    switch (r) {
      case 'no-session':
        return { r: 'refused', why: 'bad-login', code, detail, hint: answer.hint };
      case 'denied':
      case 'no-login':
        return {
          r: 'refused',
          why: 'bad-login',
          code,
          detail,
          hint:
            actor === 'self'
              ? 'the recorded key no longer works: keyturn adopt takes another one'
              : 'give this job AWS credentials: OIDC, a profile, or credentials in the target',
        };
      case 'permission':
        return {
          r: 'refused',
          why: 'permission',
          code,
          detail: `${action} is ${detail}`,
          hint: allow(action, target, username),
        };
      case 'absent':
        return {
          r: 'refused',
          why: 'no-account',
          code,
          detail: `there is no user ${username}`,
          hint: 'create it, or correct the manifest',
        };
      case 'limit':
        return { r: 'refused', why: 'limit', code, detail, hint: 'delete a key that nobody needs' };
      case 'busy':
      case 'not-sent':
      case 'unknown':
        return { r: 'unreachable', code, detail };
    }
  }
}
