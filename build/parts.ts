/** What the package and the action are both built with. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import standalone from 'ajv/dist/standalone/index.js';
import type { Plugin } from 'esbuild';
import { ajvOptions, schemaFiles } from '../src/manifests/validators.ts';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** What was written for require() finds it. */
export const requireBanner =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

export const compiledSchemas: Plugin = {
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

/** What the licences of bundled libraries ask for; `inputs` are esbuild's, relative to the top. */
export function notices(inputs: readonly string[]): string {
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
