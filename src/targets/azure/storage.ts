import type { StorageManagementClient } from '@azure/arm-storage';
import { Secret } from '../../secret.ts';
import type { Outcome } from '../driver.ts';
import type { Refusal } from '../issued.ts';
import type { Reading, Renewal, SlotJob, SlotRotator } from '../slots.ts';
import { azureOf, scopeOf } from './account.ts';
import { type Answer, classify } from './classify.ts';
import { patiently } from './graph.ts';
import { credentialOf, tokenOf } from './login.ts';
import { groupIn, keysIn } from './shapes.ts';
import { within } from './within.ts';

/** The access keys of one storage account (protocol §4.4). No text of Azure leaves it: only codes. */
export class StorageKeys implements SlotRotator {
  readonly #job: SlotJob;
  #client: Promise<StorageManagementClient> | undefined;
  #group: string | undefined;

  constructor(job: SlotJob) {
    this.#job = job;
    this.#group = storageOf(job).resourceGroup;
  }

  async read(): Promise<Reading> {
    const { name } = storageOf(this.#job);
    try {
      const client = await this.#signed();
      const group = await this.resourceGroup();
      if (group === undefined)
        return this.#no({ r: 'absent', code: 'NOT_FOUND', detail: '' }, 'listkeys') as Refusal;
      const keys = keysIn(
        await this.#ask((abortSignal) =>
          client.storageAccounts.listKeys(group, name, {
            ...(this.#kerberos() ? { expand: 'kerb' as const } : {}),
            abortSignal,
          }),
        ),
      );
      const slots = [];
      for (const wanted of this.#job.account.usernames) {
        const key = keys.find(({ keyName }) => keyName === wanted);
        if (!key)
          return {
            r: 'refused',
            why: 'no-account',
            code: 'NO_SUCH_KEY',
            detail: `storage account ${name} has no ${wanted}`,
            hint: 'correct keyName; kerb1 and kerb2 exist only with Active Directory authentication',
          };
        slots.push({
          name: wanted,
          value: new Secret(key.value),
          createdAt: key.createdAt,
        });
      }
      return { r: 'read', slots, server: `storage account ${name} in ${group}` };
    } catch (error) {
      return this.#no(classify(error), 'listkeys');
    }
  }

  async renew(keyName: string): Promise<Renewal> {
    let client: StorageManagementClient;
    let group: string | undefined;
    try {
      client = await this.#signed();
      group = await this.resourceGroup();
    } catch (error) {
      const answer = this.#no(classify(error), 'regeneratekey');
      return answer.r === 'unreachable' ? { ...answer, r: 'not-sent' } : answer;
    }
    try {
      if (group === undefined)
        return this.#no({ r: 'absent', code: 'NOT_FOUND', detail: '' }, 'regeneratekey') as Refusal;
      const at = group;
      await this.#ask((abortSignal) =>
        client.storageAccounts.regenerateKey(at, storageOf(this.#job).name, { keyName }, { abortSignal }),
      );
      return { r: 'renewed' };
    } catch (error) {
      const answer = classify(error);
      const { r, code, detail } = answer;
      if (r === 'unknown') return { r: 'ambiguous', code, detail };
      if (r === 'busy' || r === 'not-sent') return { r: 'not-sent', code, detail };
      return this.#no(answer, 'regeneratekey') as Refusal;
    }
  }

  async close(): Promise<void> {
    this.#client = undefined;
  }

  #kerberos(): boolean {
    return this.#job.account.usernames.some((name) => name.startsWith('kerb'));
  }

  #ask<T>(send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { target } = this.#job;
    return patiently(target, () => within(target.timeout, send));
  }

  #signed(): Promise<StorageManagementClient> {
    const { target, admin } = this.#job;
    this.#client ??= (async () => {
      const credential = await credentialOf({ target, own: undefined, admin });
      // a token that is missing is found out before anything else is sent
      await tokenOf(credential, target, 'management');
      const { StorageManagementClient } = await import('@azure/arm-storage');
      const endpoint = azureOf(target).endpoints.management;
      return new StorageManagementClient(credential, storageOf(this.#job).subscriptionId, {
        endpoint,
        credentials: { scopes: [scopeOf(target, 'management')] },
        additionalPolicies: [
          {
            position: 'perCall',
            policy: {
              name: 'one host',
              // the next page of a list may be said to be anywhere, and the token would go there
              async sendRequest(request, next) {
                if (new URL(request.url).origin === new URL(endpoint).origin) return next(request);
                throw Object.assign(new Error('it leads elsewhere'), { name: 'ELSEWHERE' });
              },
            },
          },
        ],
        // regenerating twice would be one too many: the engine decides about another try
        retryOptions: { maxRetries: 0 },
      });
    })();
    return this.#client;
  }

  /** From the account's name alone, where the manifest leaves it out; undefined where there is no such account. */
  async resourceGroup(): Promise<string | undefined> {
    if (this.#group !== undefined) return this.#group;
    const client = await this.#signed();
    this.#group = await within(this.#job.target.timeout, async (abortSignal) => {
      for await (const { name, id } of client.storageAccounts.list({ abortSignal }))
        if (name === storageOf(this.#job).name) return groupIn(id);
      return undefined;
    });
    return this.#group;
  }

  #no(answer: Answer, action: 'listkeys' | 'regeneratekey'): Refusal | ({ r: 'unreachable' } & Outcome) {
    const { r, code, detail } = answer;
    const { name } = storageOf(this.#job);
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
        return refused('bad-login', detail, 'give this job a login to the tenant');
      case 'permission':
        return refused(
          'permission',
          `${action} of storage account ${name} is ${detail}`,
          `grant the role Storage Account Key Operator Service Role on it, and Reader where resourceGroup is left out`,
        );
      case 'absent':
        return refused(
          'no-account',
          `there is no storage account ${name}`,
          'correct subscriptionId, resourceGroup or account; without resourceGroup the login needs the role Reader',
        );
      case 'invalid':
        return refused(
          'permission',
          `Azure refuses ${action} of storage account ${name}`,
          'is it locked, or are its keys disallowed by a policy?',
        );
      case 'busy':
      case 'not-sent':
      case 'unknown':
        return { r: 'unreachable', code, detail };
    }
  }
}

export function storageOf({ target }: Pick<SlotJob, 'target'>) {
  const { storage } = azureOf(target);
  if (!storage) throw new Error(`${target.name} is no storage account`);
  return storage;
}
