import type { TokenCredential } from '@azure/identity';
import { Secret } from '../../secret.ts';
import type { Outcome, Probe } from '../driver.ts';
import type {
  Issued,
  IssuedJob,
  IssuedPreflight,
  IssuedRotator,
  IssueResult,
  Issuing,
  LastUse,
  Listing,
  Refusal,
  RemoveResult,
} from '../issued.ts';
import { azureOf } from './account.ts';
import { type Answer, classify, LoginFailed } from './classify.ts';
import { type Graph, graphOf } from './graph.ts';
import { claimsOf, credentialOf, optionsOf, tokenOf } from './login.ts';
import { type Application, applicationIn, foundIn, secretIn } from './shapes.ts';

const select = 'id,appId,passwordCredentials';
/** A new application is not found everywhere at once. */
const unsettled = [1_000, 3_000];

/** One application's client secrets (protocol §4.3). No text of Azure leaves it: only codes. */
export class ApplicationSecrets implements IssuedRotator {
  readonly #job: IssuedJob;
  #credential: Promise<TokenCredential> | undefined;
  #graph: Promise<Graph> | undefined;
  #id: string | undefined;

  constructor(job: IssuedJob) {
    this.#job = job;
  }

  async preflight(): Promise<IssuedPreflight> {
    const listing = await this.list();
    if (listing.r !== 'listed') return listing;
    const { tenantId, clientId } = azureOf(this.#job.target);
    const who = this.#job.actor === 'self' ? this.#job.username : (clientId ?? "the job's own identity");
    return {
      r: 'ready',
      server: `Entra tenant ${tenantId} as ${who}`,
      at: null,
      keys: listing.keys,
      warnings: [],
    };
  }

  async list(): Promise<Listing> {
    try {
      const found = await this.#application();
      if (!found) return this.#no({ r: 'absent', code: 'NOT_FOUND', detail: 'there is no such application' });
      return { r: 'listed', keys: found.secrets };
    } catch (error) {
      return this.#no(classify(error));
    }
  }

  async issue({ uid, claim, n, until }: Issuing): Promise<IssueResult> {
    let id: string;
    let graph: Graph;
    try {
      id = this.#id ?? (await this.#application())?.id ?? '';
      graph = await this.#signed();
    } catch (error) {
      const answer = this.#no(classify(error));
      return answer.r === 'unreachable' ? { ...answer, r: 'not-sent' } : answer;
    }
    if (id === '') return this.#no({ r: 'absent', code: 'NOT_FOUND', detail: '' }) as Refusal;
    for (const pause of [...unsettled, null]) {
      try {
        const made = secretIn(
          await graph.post(`/applications/${id}/addPassword`, {
            passwordCredential: { displayName: markOf({ uid, claim, n }), endDateTime: until },
          }),
        );
        if (!made) return { r: 'ambiguous', code: 'empty', detail: 'the answer holds no secret' };
        const { keyId, secretText, ...end } = made;
        return { r: 'issued', issued: { handle: keyId, value: new Secret(secretText), ...end } };
      } catch (error) {
        const answer = classify(error);
        const { code, detail } = answer;
        if (answer.r === 'absent' && pause !== null) {
          await new Promise((resolve) => setTimeout(resolve, pause));
          continue;
        }
        if (answer.r === 'unknown') return { r: 'ambiguous', code, detail };
        if (answer.r === 'busy' || answer.r === 'not-sent') return { r: 'not-sent', code, detail };
        return this.#no(answer) as Refusal;
      }
    }
    throw new Error('unreachable');
  }

  /** A login of its own: nothing of it is kept, so that the next one asks Entra again. */
  async verify({ value }: Issued): Promise<Probe> {
    const { target, username } = this.#job;
    const { tenantId } = azureOf(target);
    try {
      const { ClientSecretCredential } = await import('@azure/identity');
      const credential = new ClientSecretCredential(tenantId, username, value.reveal(), optionsOf(target));
      const { appid, azp, tid } = claimsOf(await tokenOf(credential, target, 'graph'));
      const is = appid ?? azp;
      if (is === username && tid === tenantId)
        return { r: 'ok', code: 'OK', detail: 'Entra gave it a token as this application' };
      return { r: 'inconclusive', code: 'WRONG_ACCOUNT', detail: `it belongs to ${is} of tenant ${tid}` };
    } catch (error) {
      const { aadsts } = error instanceof LoginFailed ? error : { aadsts: null };
      const { code, detail } = classify(error);
      if (aadsts === null) return { r: 'unreachable', code, detail };
      return { r: aadsts === 7000215 || aadsts === 7000222 ? 'denied' : 'inconclusive', code, detail };
    }
  }

  /** Entra cannot switch a secret off. */
  disable(handle: string): Promise<RemoveResult> {
    return this.remove(handle);
  }

  async remove(handle: string): Promise<RemoveResult> {
    try {
      const found = await this.#application();
      if (!found) return this.#no({ r: 'absent', code: 'NOT_FOUND', detail: '' });
      const graph = await this.#signed();
      await graph.post(`/applications/${found.id}/removePassword`, { keyId: handle });
      return { r: 'done' };
    } catch (error) {
      const answer = classify(error);
      if (answer.r !== 'invalid' && answer.r !== 'absent') return this.#no(answer);
      const now = await this.list();
      const gone = now.r === 'listed' && !now.keys.some((key) => key.handle === handle);
      return gone ? { r: 'done' } : this.#no(answer);
    }
  }

  async lastUsedAt(): Promise<LastUse> {
    return { r: 'unknown', code: 'NOT_TOLD', detail: 'Entra does not tell when a secret was used' };
  }

  async close(): Promise<void> {
    this.#credential = undefined;
    this.#graph = undefined;
  }

  #signed(): Promise<Graph> {
    const { target, actor, login, username, admin } = this.#job;
    const own = actor === 'self' && login ? { username, password: login.value } : undefined;
    this.#credential ??= credentialOf({ target, own, admin });
    this.#graph ??= this.#credential.then((credential) => graphOf(credential, target));
    return this.#graph;
  }

  async #application(): Promise<Application | undefined> {
    const graph = await this.#signed();
    const { username } = this.#job;
    if (this.#id !== undefined)
      return applicationIn(await graph.get(`/applications/${this.#id}`, { $select: select }), username);
    const query = { $filter: `appId eq '${username}'`, $select: select };
    const found = foundIn(await graph.get('/applications', query), username);
    this.#id = found?.id;
    return found;
  }

  #no(answer: Answer): Refusal | ({ r: 'unreachable' } & Outcome) {
    const { r, code, detail } = answer;
    const { username, actor } = this.#job;
    const refused = (why: Refusal['why'], words: string, hint: string): Refusal => ({
      r: 'refused',
      why,
      code,
      detail: words,
      hint,
    });
    switch (r) {
      case 'denied':
      case 'no-login':
        return refused(
          'bad-login',
          detail,
          actor === 'self'
            ? 'the recorded secret no longer works: keyturn adopt takes another one'
            : 'give this job a login to the tenant: credentials in the target, OIDC, or a managed identity',
        );
      case 'permission':
        return refused(
          'permission',
          `changing application ${username} is ${detail}`,
          'grant Application.ReadWrite.OwnedBy and make the login an owner of the application, or Application.ReadWrite.All',
        );
      case 'absent':
        return refused('no-account', `there is no application ${username}`, 'register it, or correct appId');
      case 'invalid':
        return refused(
          'permission',
          `Azure refuses a secret for ${username}`,
          "look at the tenant's application management policies: lifetime of secrets, or no secrets at all",
        );
      case 'busy':
      case 'not-sent':
      case 'unknown':
        return { r: 'unreachable', code, detail };
    }
  }
}

/** What makes an orphan certain: whose it is, and which claim asked for it. At most 120 characters at Entra. */
const markOf = ({ uid, claim, n }: Pick<Issuing, 'uid' | 'claim' | 'n'>): string =>
  `keyturn/${uid}/${claim}/${n}`;
