/** What users install: every package pinned by its digest, none that must run a script to work. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

interface Package {
  version?: string;
  resolved?: string;
  integrity?: string;
  dev?: boolean;
  link?: boolean;
  hasInstallScript?: boolean;
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { packages }: { packages: Record<string, Package> } = JSON.parse(
  readFileSync(join(root, 'package-lock.json'), 'utf8'),
);
const all = Object.entries(packages).filter(([path]) => path !== '');
const used = all.filter(([, one]) => one.dev !== true);

describe('the lock file', () => {
  it('pins every package by SHA-512, from nowhere but a registry', () => {
    expect(all.length).toBeGreaterThan(100);
    const loose = all.filter(
      ([, { integrity, link, resolved }]) =>
        link === true || !integrity?.startsWith('sha512-') || /^(git|file|http:)/.test(resolved ?? ''),
    );
    expect(loose.map(([path]) => path)).toEqual([]);
  });

  it('asks of users to run no script but those of native parts that ssh2 does without', () => {
    expect(used.length).toBeGreaterThan(50);
    const scripts = used.filter(([, { hasInstallScript }]) => hasInstallScript === true);
    expect(scripts.map(([path]) => path)).toEqual(['node_modules/cpu-features', 'node_modules/ssh2']);
  });
});
