import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificates {
  caPem: string;
  certPem: string;
  keyPem: string;
}

/** A CA made for this run and a server certificate signed by it, valid for one day. */
export function makeCertificates(names: string[] = ['DNS:localhost', 'IP:127.0.0.1']): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'keyturn-tls-'));
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  try {
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl(
      'req',
      '-x509',
      ...ec,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-days',
      '1',
      '-subj',
      '/CN=keyturn test CA',
    );
    openssl('req', ...ec, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=keyturn test server');
    writeFileSync(at('san.cnf'), `subjectAltName=${names.join(',')}\n`);
    const sign = [
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '1',
      '-extfile',
      'san.cnf',
    ];
    openssl('x509', '-req', '-in', 'server.csr', ...sign, '-out', 'server.pem');
    const read = (name: string) => readFileSync(at(name), 'utf8');
    return { caPem: read('ca.pem'), certPem: read('server.pem'), keyPem: read('server.key') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
