import type { TokenCredential } from '@azure/identity';
import type { Secret } from '../../secret.ts';
import type {
  ChosenRotator,
  Preflight,
  Probe,
  RetireResult,
  RotationJob,
  SetResult,
  Witness,
} from '../driver.ts';
import { isPortable } from '../portable.ts';
import { azureOf } from './account.ts';
import { type Answer, classify, LoginFailed } from './classify.ts';
import { type Graph, graphOf } from './graph.ts';
import { claimsOf, credentialOf, optionsOf, tokenOf } from './login.ts';
import { lacks, passwordRoles } from './permissions.ts';
import { type User, userIn } from './shapes.ts';

const select = 'id,userPrincipalName,accountEnabled,onPremisesSyncEnabled,lastPasswordChangeDateTime';

/**
 * An Entra user's password (protocol §3.8): set by an administrator, never by the user. Entra says when it changed
 * last, and that is the proof, unless the manifest asks for a login (`verify: ropc`).
 */
export class EntraPassword implements ChosenRotator {
  readonly proof: 'login' | 'witness';
  readonly #job: RotationJob;
  #credential: Promise<TokenCredential> | undefined;
  #graph: Promise<Graph> | undefined;

  constructor(job: RotationJob) {
    this.#job = job;
    this.proof = job.login === 'ropc' ? 'login' : 'witness';
  }

  async preflight(): Promise<Preflight> {
    const { username, actor, retain } = this.#job;
    const refused = (why: 'unsupported', code: string, detail: string, hint: string): Preflight => ({
      r: 'refused',
      why,
      code,
      detail,
      hint,
    });
    if (actor === 'self')
      return refused(
        'unsupported',
        'SELF',
        'a user cannot change it without a person',
        'write authenticateAs: target',
      );
    if (retain) return refused('unsupported', 'RETAIN', 'a user has one password', 'write grace: 0s');
    let user: User;
    let missing: string[];
    try {
      user = await this.#user();
      missing = lacks(await this.#token(), passwordRoles);
    } catch (error) {
      return this.#unfit(classify(error));
    }
    if (user.synchronised)
      return refused(
        'unsupported',
        'SYNCED',
        `${username} is synchronised from an on-premises directory`,
        'change its password there, or use a cloud-only user',
      );
    return {
      r: 'ready',
      server: `Entra tenant ${azureOf(this.#job.target).tenantId}`,
      baseline: { changed: user.changed ?? '' },
      witness: true,
      markedVersion: null,
      warnings: [
        ...(user.enabled ? [] : [`${username} is disabled at Entra`]),
        ...missing.map((role) => `the login of ${this.#job.target.name} lacks ${role}`),
      ],
    };
  }

  async witness(_: Secret, baseline: Record<string, string>): Promise<Witness> {
    if (baseline.changed === undefined) return 'unknown';
    try {
      const { changed } = await this.#user();
      const before = baseline.changed === '' ? Number.NEGATIVE_INFINITY : Date.parse(baseline.changed);
      return changed !== null && Date.parse(changed) > before ? 'changed' : 'not-applied';
    } catch {
      return 'unknown';
    }
  }

  /** One login by the resource owner's password, where the manifest wants it: it counts for smart lockout. */
  async probe(value: Secret): Promise<Probe> {
    const { target, username } = this.#job;
    if (this.proof === 'witness')
      return { r: 'inconclusive', code: 'NO_LOGIN', detail: 'only verify: ropc could log in as a user' };
    const { tenantId, publicClientId = '' } = azureOf(target);
    try {
      const { UsernamePasswordCredential } = await import('@azure/identity');
      const credential = new UsernamePasswordCredential(
        tenantId,
        publicClientId,
        username,
        value.reveal(),
        optionsOf(target),
      );
      const { upn, oid, tid } = claimsOf(await tokenOf(credential, target, 'graph'));
      // not every token says the name, but every one whose it is, and of which tenant
      const own = upn === undefined ? Boolean(oid) : upn.toLowerCase() === username.toLowerCase();
      return own && tid === tenantId
        ? { r: 'ok', code: 'OK', detail: 'Entra gave it a token' }
        : { r: 'inconclusive', code: 'WRONG_ACCOUNT', detail: 'Entra logged in somebody else' };
    } catch (error) {
      const { aadsts } = error instanceof LoginFailed ? error : { aadsts: null };
      const { code, detail } = classify(error);
      if (aadsts === null) return { r: 'unreachable', code, detail };
      const [r, words] = meaning[aadsts] ?? (['inconclusive', detail] as const);
      return { r, code, detail: words };
    }
  }

  async set(value: Secret): Promise<SetResult> {
    if (value.length < 8 || !isPortable(value.reveal(), maxLength))
      return { r: 'refused', why: 'policy', code: 'LENGTH', detail: 'Entra takes 8 to 256 plain characters' };
    let graph: Graph;
    try {
      graph = await this.#signed();
    } catch (error) {
      return this.#unset(classify(error));
    }
    try {
      await graph.patch(this.#path(), {
        passwordProfile: { password: value.reveal(), forceChangePasswordNextSignIn: false },
      });
      return { r: 'applied', code: 'OK', detail: 'Entra took it' };
    } catch (error) {
      return this.#unset(classify(error));
    }
  }

  async retire(live: Secret | undefined): Promise<RetireResult> {
    return live === undefined
      ? {
          r: 'refused',
          code: 'UNSUPPORTED',
          detail: 'its password still works: block or delete the user at Entra',
        }
      : { r: 'retired', code: 'OK', detail: 'a user has one password' };
  }

  async close(): Promise<void> {
    this.#credential = undefined;
    this.#graph = undefined;
  }

  #signed(): Promise<Graph> {
    const { target, admin } = this.#job;
    this.#credential ??= credentialOf({ target, own: undefined, admin });
    this.#graph ??= this.#credential.then((credential) => graphOf(credential, target));
    return this.#graph;
  }

  async #token(): Promise<string> {
    const { target, admin } = this.#job;
    this.#credential ??= credentialOf({ target, own: undefined, admin });
    return tokenOf(await this.#credential, target, 'graph');
  }

  #path(): string {
    return `/users/${encodeURIComponent(this.#job.username)}`;
  }

  async #user(): Promise<User> {
    const graph = await this.#signed();
    return userIn(await graph.get(this.#path(), { $select: select }), this.#job.username);
  }

  #unfit(answer: Answer): Preflight {
    const { r, code, detail } = answer;
    const { username } = this.#job;
    switch (r) {
      case 'denied':
      case 'no-login':
        return {
          r: 'refused',
          why: 'bad-current',
          code,
          detail,
          hint: 'give this job a login to the tenant',
        };
      case 'permission':
        return {
          r: 'refused',
          why: 'permission',
          code,
          detail: `reading ${username} is ${detail}`,
          hint: 'grant User.Read.All and User-PasswordProfile.ReadWrite.All',
        };
      case 'absent':
      case 'invalid':
        return {
          r: 'refused',
          why: 'no-account',
          code,
          detail: `there is no user ${username}`,
          hint: 'create it, or correct the manifest',
        };
      case 'busy':
      case 'not-sent':
      case 'unknown':
        return { r: 'unreachable', code, detail };
    }
  }

  #unset(answer: Answer): SetResult {
    const { r, code, detail } = answer;
    switch (r) {
      case 'denied':
      case 'no-login':
        return { r: 'refused', why: 'bad-current', code, detail };
      case 'permission':
        return {
          r: 'refused',
          why: 'permission',
          code,
          detail: `changing the password of ${this.#job.username} is ${detail}: User-PasswordProfile.ReadWrite.All, and a role above that user's`,
        };
      case 'absent':
        return { r: 'refused', why: 'no-account', code, detail: `there is no user ${this.#job.username}` };
      case 'invalid':
        return { r: 'refused', why: 'policy', code, detail: 'the password does not comply with its rules' };
      case 'busy':
      case 'not-sent':
        return { r: 'not-sent', code, detail };
      case 'unknown':
        return { r: 'ambiguous', code, detail };
    }
  }
}

export const maxLength = 256;

/** Entra's answers to a password: what they say of it, not what else stands in the way. */
const meaning: Record<number, readonly [Probe['r'], string]> = {
  50126: ['denied', 'the password is wrong'],
  50034: ['inconclusive', 'there is no such user'],
  50053: ['blocked', 'Entra has locked the user for too many wrong passwords'],
  50055: ['ok-restricted', 'it has to be changed at the next login'],
  50057: ['ok-restricted', 'the user is disabled'],
  50076: ['ok', 'the password is right; Entra asks for a second factor'],
  50079: ['ok', 'the password is right; Entra asks for a second factor'],
  50158: ['ok', 'the password is right; a conditional access policy asks for more'],
  53003: ['ok', 'the password is right; a conditional access policy asks for more'],
  65001: ['ok', 'the password is right; nobody has consented to the public client'],
};
