/** Where notifications arrive in tests: an HTTP receiver and an SMTP server, on free ports of 127.0.0.1. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

export interface Received {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Receiver {
  url: string;
  received: Received[];
  /** Every request is answered with this; a function sees the request. */
  answer: (request: Received) => { status: number; body?: unknown };
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const receiver: Receiver = {
    url: '',
    received: [],
    answer: () => ({ status: 200 }),
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one: Received = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      };
      const { status, body } = receiver.answer(one);
      if (status < 300) receiver.received.push(one);
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {});
      response.end(body === undefined ? '' : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return receiver;
}

export interface Mailbox {
  port: number;
  mails: { from: string; to: string[]; text: string; user: string | null }[];
  /** Addresses that the server refuses. */
  refuses: Set<string>;
  stop(): Promise<void>;
}

/** Takes any user with the password `mail-password`. */
export async function startMailbox(): Promise<Mailbox> {
  const mailbox: Mailbox = {
    port: 0,
    mails: [],
    refuses: new Set(),
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    disableReverseLookup: true,
    onAuth: (auth, _, done) =>
      auth.password === 'mail-password' ? done(null, { user: auth.username ?? '' }) : done(new Error('no')),
    onRcptTo: ({ address }, _, done) => done(mailbox.refuses.has(address) ? new Error('no such user') : null),
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        mailbox.mails.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString(),
          user: session.user === undefined ? null : String(session.user),
        });
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  mailbox.port = (server.server.address() as AddressInfo).port;
  return mailbox;
}
