/**
 * `npm run build`: src/ -> dist/, one file an entry and a few shared ones in place of four hundred, because finding
 * and reading modules is most of what a short command costs. Small libraries are taken in, with their licences in
 * dist/THIRD-PARTY.txt; the SDKs of targets, loaded by few runs, stay the packages that they are.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import standalone from 'ajv/dist/standalone/index.js';
import { build, type Plugin } from 'esbuild';
import { ajvOptions, schemaFiles } from '../src/manifests/validators.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

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

const compiledSchemas: Plugin = {
  name: 'JSON Schemas compiled ahead',
  setup(on) {
    on.onLoad({ filter: /src\/manifests\/validators\.ts$/ }, () => ({
      contents: `${validatorCode()}\nexport const loadValidators = async () => ({ ${Object.keys(schemaFiles).join(', ')} });`,
      loader: 'js',
      resolveDir: root,
    }));
  },
};

function validatorCode(): string {
  const ajv = new Ajv2020({ ...ajvOptions, code: { source: true, esm: true } });
  for (const file of Object.values(schemaFiles))
    ajv.addSchema(JSON.parse(readFileSync(join(root, 'schemas', file), 'utf8')), file);
  return standalone.default(ajv, { ...schemaFiles });
}

/** What the licences of the libraries in dist/ ask for. */
function notices(inputs: readonly string[]): string {
  const packages = new Set(
    inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []),
  );
  return [...packages]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
      const file = readdirSync(join(root, folder)).find((each) => /^licen[cs]e/i.test(each));
      const text = file === undefined ? '' : `\n\n${readFileSync(join(root, folder, file), 'utf8').trim()}`;
      return `${name} ${version} (${license})${text}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

const outdir = join(root, 'dist');
if (existsSync(outdir)) rmSync(outdir, { recursive: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['src/cli.ts'],
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22.12',
  metafile: true,
  logLevel: 'warning',
  // what was written for require() finds it
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
  plugins: [compiledSchemas, bare],
});
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
