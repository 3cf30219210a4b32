/** Requests to Microsoft Graph. The SDK's own repetition is left out: it would repeat what must happen once. */
import type { TokenCredential } from '@azure/identity';
import type { Client, Context, GraphRequest } from '@microsoft/microsoft-graph-client';
import type { Target } from '../driver.ts';
import { azureOf } from './account.ts';
import { type Answer, classify } from './classify.ts';
import { tokenOf } from './login.ts';
import { within } from './within.ts';

export interface Graph {
  get(path: string, query?: Record<string, string>): Promise<unknown>;
  post(path: string, body: object): Promise<unknown>;
  patch(path: string, body: object): Promise<void>;
}

/** How often an answer that says "nothing was done, try again" is heeded, and what is waited for without a word. */
const patience = [300, 1_000, 4_000];

/** Every rejection is one that `classify` knows. Nothing is repeated but what Graph says it did not do. */
export async function graphOf(credential: TokenCredential, target: Target): Promise<Graph> {
  const client = await clientOf(credential, target);
  /** A token that is missing is found out before anything else is sent. */
  const ask = <T>(
    path: string,
    query: Record<string, string>,
    send: (request: GraphRequest) => Promise<T>,
  ): Promise<T> =>
    patiently(target, async () => {
      await tokenOf(credential, target, 'graph');
      return within(target.timeout, (signal) => {
        const request = client
          .api(path)
          .option('signal' as never, signal as never)
          // what is sent may be a password: it goes to no other place than the manifest's
          .option('redirect' as never, 'error' as never);
        return send(Object.keys(query).length > 0 ? request.query(query) : request);
      });
    });
  return {
    get: (path, query = {}) => ask(path, query, (request) => request.get()),
    post: (path, body) => ask(path, {}, (request) => request.post(body)),
    patch: (path, body) => ask(path, {}, (request) => request.patch(body)),
  };
}

/** Repeats while the answer is that nothing was done, as long as the target's timeout allows. */
export async function patiently<T>(target: Target, send: () => Promise<T>): Promise<T> {
  let left = target.timeout;
  for (const pause of [...patience, null]) {
    try {
      return await send();
    } catch (error) {
      const answer: Answer = classify(error);
      const wait = answer.r === 'busy' ? (answer.after ?? pause) : null;
      if (pause === null || wait === null || wait > left) throw error;
      left -= wait;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  throw new Error('unreachable');
}

async function clientOf(credential: TokenCredential, target: Target): Promise<Client> {
  const { AuthenticationHandler, Client, HTTPMessageHandler } = await import(
    '@microsoft/microsoft-graph-client'
  );
  const { endpoints } = azureOf(target);
  return Client.initWithMiddleware({
    baseUrl: `${endpoints.graph}/`,
    defaultVersion: 'v1.0',
    // the token goes to this host alone
    customHosts: new Set([new URL(endpoints.graph).hostname]),
    middleware: [
      new AuthenticationHandler({ getAccessToken: () => tokenOf(credential, target, 'graph') }),
      new Named(),
      new HTTPMessageHandler(),
    ],
  });
}

/** The client forgets why a request failed but for the error's name: that becomes the system's code. */
class Named {
  #next: { execute(context: Context): Promise<void> } | undefined;

  async execute(context: Context): Promise<void> {
    try {
      await this.#next?.execute(context);
    } catch (error) {
      const { name, cause } = error as { name?: string; cause?: { code?: string } };
      throw Object.assign(new Error('no answer'), { name: cause?.code ?? name ?? 'Error' });
    }
  }

  setNext(next: { execute(context: Context): Promise<void> }): void {
    this.#next = next;
  }
}
