/**
 * `npm run build`: src/ -> dist/, one file an entry and a few shared ones in place of four hundred, because finding
 * and reading modules is most of what a short command costs. Small libraries are taken in, with their licences in
 * dist/THIRD-PARTY.txt; the SDKs of targets, loaded by few runs, stay the packages that they are.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import {
  algorithmsOnFirstUse,
  compiledSchemas,
  esmOfYaml,
  notices,
  requireBanner,
  root,
  withBuiltinsFetched,
} from './parts.ts';

/** Light, and on the way of nearly every command. */
const takenIn = [
  '@noble/',
  '@scure/base',
  'age-encryption',
  'ajv',
  'canonicalize',
  'commander',
  'fast-deep-equal',
  'fastest-levenshtein',
  'p-limit',
  'picocolors',
  'picomatch',
  'ulid',
  'yaml',
  'yocto-queue',
];

const bare: Plugin = {
  name: 'packages that stay outside',
  setup(on) {
    on.onResolve({ filter: /^[^./]/ }, ({ path }) =>
      path.startsWith('node:') ||
      takenIn.some((name) => path === name || path.startsWith(name.endsWith('/') ? name : `${name}/`))
        ? undefined
        : { path, external: true },
    );
  },
};

const outdir = join(root, 'dist');
if (existsSync(outdir)) rmSync(outdir, { recursive: true });
const { metafile, outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: { cli: 'src/cli.ts', worker: 'src/manifests/worker.ts' },
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.12',
  metafile: true,
  alias: { yaml: esmOfYaml },
  // age-encryption asks of every key whether it is one, for which Node loads web crypto; none of ours is
  define: { CryptoKey: 'undefined' },
  write: false,
  logLevel: 'warning',
  banner: { js: requireBanner },
  plugins: [compiledSchemas, algorithmsOnFirstUse, bare],
});
mkdirSync(outdir);
for (const { path, text } of outputFiles)
  writeFileSync(path, withBuiltinsFetched(text), { mode: text.startsWith('#!') ? 0o755 : 0o644 });
await build({
  absWorkingDir: root,
  entryPoints: ['src/rotator/index.ts'],
  outfile: join(outdir, 'rotator', 'index.js'),
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.12',
  logLevel: 'warning',
  plugins: [bare],
});
writeFileSync(join(outdir, 'THIRD-PARTY.txt'), notices(Object.keys(metafile.inputs)));
