/**
 * `npm run bundle [FILE]`: the one file that `action.yml` starts, and the licences of what is in it beside it. Neither
 * is on main: the release job commits them to the tag.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { algorithmsOnFirstUse, compiledSchemas, esmOfYaml, notices, requireBanner, root } from './parts.ts';

const outfile = resolve(process.argv[2] ?? join(root, 'action', 'index.mjs'));

/** Nothing is beside the file that it could read. */
const standsAlone: Plugin = {
  name: 'nothing is read from beside the file',
  setup(on) {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    on.onLoad({ filter: /src\/version\.ts$/ }, () => ({
      contents: `export const version = ${JSON.stringify(version)};`,
    }));
    on.onLoad({ filter: /src\/manifests\/threads\.ts$/ }, () => ({
      contents: 'export const startThreads = () => undefined;',
    }));
    on.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      if (!path.startsWith(join(root, 'src')) || !readFileSync(path, 'utf8').includes('import.meta.url'))
        return;
      throw new Error(`${path} reads a file beside it, which the action does not have: see build/action.ts`);
    });
  },
};

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['src/action.ts'],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  metafile: true,
  alias: { yaml: esmOfYaml },
  // age-encryption asks of every key whether it is one, for which Node loads web crypto; none of ours is
  define: { CryptoKey: 'undefined' },
  logLevel: 'warning',
  // native code of pg and ssh2 that they do without
  external: ['pg-native', 'cpu-features', '*.node'],
  banner: { js: requireBanner },
  plugins: [compiledSchemas, algorithmsOnFirstUse, standsAlone],
});
writeFileSync(join(dirname(outfile), 'THIRD-PARTY.txt'), notices(Object.keys(metafile.inputs)));
