import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from './mysql-installation.ts';

const unpacked = join(cache, 'trixie-openssh');
const libraries = `${unpacked}/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
const loader = `${libraries}/ld-linux-${process.arch === 'arm64' ? 'aarch64.so.1' : 'x86-64.so.2'}`;
const isUnpacked = (): boolean => existsSync(`${unpacked}/usr/sbin/sshd`) && existsSync(loader);

/** Whether there is an OpenSSH with PerSourcePenalties (9.8): the system's, or the one that `install.sh` unpacks. */
export function penalizes(): boolean {
  const said = spawnSync('/usr/sbin/sshd', ['-V'], { encoding: 'utf8' }).stderr;
  const [, major, minor] = /OpenSSH_(\d+)\.(\d+)/.exec(said) ?? [];
  return Number(major) * 100 + Number(minor) >= 908 || isUnpacked();
}

/** The unpacked server goes through its own suite's loader, and so do the programs that it starts. */
export function newer(home: string): { program: string; config: string[] } {
  if (!isUnpacked()) return { program: '/usr/sbin/sshd', config: [] };
  const through = (path: string): string => `${loader} --library-path ${libraries} ${unpacked}${path}`;
  const config = ['session', 'auth'].map((part) => {
    const file = join(home, `sshd-${part}`);
    writeFileSync(file, `#!/bin/sh\nexec ${through(`/usr/lib/openssh/sshd-${part}`)} "$@"\n`, {
      mode: 0o755,
    });
    return `Sshd${part === 'session' ? 'Session' : 'Auth'}Path ${file}`;
  });
  return { program: through('/usr/sbin/sshd'), config };
}
