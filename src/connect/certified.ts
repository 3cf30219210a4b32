/**
 * SSH by certificate: the system's `ssh`, because ssh2 signs with the certificate's algorithm where servers want the
 * plain key's. Its key is in an agent of this process, and its connection goes through this process, so that nothing
 * is on disk but a public host key and the session ends with us.
 */
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, connect as connectSocket, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { KeyturnError } from '../errors.ts';
import type { Host } from '../host.ts';
import type { Credentials, Target } from '../targets/driver.ts';
import { join as joinStreams } from '../targets/join.ts';
import { serveAgent } from '../targets/ssh/agent.ts';
import type { Certificate } from '../targets/ssh/certificate.ts';
import { fingerprintOf, reach, shownHostKey } from '../targets/ssh/connect.ts';
import { SshFailure } from '../targets/ssh/failure.ts';
import { readStrings } from '../targets/ssh/wire.ts';
import { runChild } from './child.ts';
import { openDoorway } from './doorway.ts';

/** The host's name to `ssh`, whatever its address. */
const alias = 'keyturn';

/** Runs `ssh` to its end, on our terminal; its exit code. Throws SshFailure before it starts, KeyturnError without one. */
export async function visitCertified(of: {
  host: Host;
  target: Target;
  jump: Credentials | undefined;
  username: string;
  certificate: Certificate;
  command: string | undefined;
  tty: boolean;
  entered: () => void;
}): Promise<number> {
  const { end, pace, through } = await reach(of.target, of.jump);
  const stream = async (): Promise<Duplex> => (await through?.stream()) ?? connectSocket(end.port, end.host);
  const agent = await openDoorway('agent', (client) => serveAgent(client, of.certificate, of.entered));
  let way: Server | undefined;
  try {
    const key = await shownHostKey({ ...end, timeout: pace.timeout }, await through?.stream());
    if (!end.hostKeys.includes(fingerprintOf(key)))
      throw new SshFailure('untrusted', 'HOST_KEY', 'the host shows another key than the pinned ones');
    const known = join(agent.folder, 'known_hosts');
    const [type] = readStrings(key, 1);
    await writeFile(known, `${alias} ${type} ${key.toString('base64')}\n`);
    way = await openWay(stream);
    const { port } = way.address() as AddressInfo;
    const options = [
      `IdentityAgent=${agent.path}`,
      `UserKnownHostsFile=${known}`,
      `HostKeyAlias=${alias}`,
      `ConnectTimeout=${Math.ceil(pace.timeout / 1000)}`,
      ...fixed,
    ];
    const screen = of.tty || of.command === undefined;
    const args = [
      '-F',
      '/dev/null',
      ...options.flatMap((option) => ['-o', option]),
      ...(screen && of.host.stdin.isTTY === true ? ['-t'] : []),
      ...['-p', String(port), '-l', of.username, '127.0.0.1'],
      ...(of.command === undefined ? [] : ['--', of.command]),
    ];
    const { SSH_AUTH_SOCK: _, SSH_ASKPASS: __, ...env } = of.host.env;
    return await runChild({ ...of.host, env }, 'ssh', args, new Map());
  } catch (error) {
    if (error instanceof KeyturnError && error.subject === 'ssh')
      throw new KeyturnError('ssh', error.what, {
        hint: "install OpenSSH's client: sessions by certificate need it",
      });
    throw error;
  } finally {
    way?.close();
    through?.close();
    await agent.close();
  }
}

const fixed: readonly string[] = [
  'IdentityFile=none',
  'CertificateFile=none',
  'PreferredAuthentications=publickey',
  'BatchMode=yes',
  'StrictHostKeyChecking=yes',
  'GlobalKnownHostsFile=/dev/null',
  'UpdateHostKeys=no',
  'ForwardAgent=no',
  'ForwardX11=no',
  'ControlPath=none',
  'PermitLocalCommand=no',
  'ServerAliveInterval=15',
  'LogLevel=ERROR',
];

/** A loopback port that leads to the host, once: whoever comes second, or comes in place of `ssh`, finds a host that asks for a login. */
async function openWay(stream: () => Promise<Duplex>): Promise<Server> {
  const server = createServer((client) => {
    server.close();
    client.on('error', () => client.destroy());
    stream().then(
      (upstream) => {
        upstream.on('error', () => client.destroy());
        joinStreams(client, upstream);
      },
      () => client.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}
