/** A whole rotator for node:http and node:https: one function that does the work. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { type RotatorRules, verifyRequest } from './verify.ts';
import { largestBody, type Reply, type RotatorRequest, refusal } from './wire.ts';

/**
 * Does what is asked and says so. `remember` in the transaction that changes the password makes it happen once only;
 * who does not call it has the answer remembered when the work is done. A refusal is not: what was in the way may be
 * gone the next time. What it throws becomes a 500, which tells keyturn to ask again.
 */
export type Work = (
  request: RotatorRequest,
  remember: (reply: Reply) => Reply | Promise<Reply>,
) => Promise<Reply> | Reply;

/** `log` is told one word about each request; never a value. */
export function rotator(
  rules: RotatorRules,
  work: Work,
  log: (line: string) => void = () => undefined,
): RequestListener {
  const serve = async (request: IncomingMessage): Promise<Reply> => {
    const body = await bodyOf(request);
    if (body === null) return refusal(413, 'too-big');
    const verdict = await verifyRequest(
      { method: request.method ?? '', headers: request.headers, body },
      rules,
    );
    if (verdict.r !== 'new') {
      log(verdict.r === 'refused' ? `refused: ${verdict.why}` : verdict.r);
      return verdict.reply;
    }
    const { remember, release } = verdict;
    let kept: Reply | undefined;
    try {
      const reply = await work(verdict.request, (answer) => {
        kept = answer;
        return remember(answer);
      });
      if (kept === undefined && reply.status === 200) await remember(reply);
      log(`${verdict.request.operation}: ${reply.status}`);
      return reply;
    } finally {
      release();
    }
  };
  return (request, response) => {
    serve(request).then(
      (reply) => send(response, reply),
      () => {
        log('failed');
        send(response, { status: 500, body: { code: 'failed' } });
      },
    );
  };
}

/** The body, or null when it is too big. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > largestBody) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function send(response: ServerResponse, { status, body }: Reply): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}
