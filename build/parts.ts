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

/**
 * The same code, but Node's own modules are fetched and not imported: an import statement touches all that a module
 * offers, for which Node then loads web crypto, workers and much else that nobody asked for.
 */
export function withBuiltinsFetched(code: string): string {
  const fetched: string[] = [];
  const rest = code.replaceAll(
    /^import (?:(?:\* as )?([\w$]+))?(?:, )?(\{[^}]*\})? from "(node:[\w/]+)";\n/gm,
    (_, whole: string | undefined, names: string | undefined, module: string) => {
      for (const name of [whole, names?.replaceAll(' as ', ': ')])
        if (name !== undefined)
          fetched.push(`const ${name} = globalThis.process.getBuiltinModule("${module}");\n`);
      return '';
    },
  );
  // before everything else, as imports are
  const start = /^(?:#!.*\n)?/.exec(rest)?.[0] ?? '';
  return start + fetched.join('') + rest.slice(start.length);
}

/** The parser as the modules that yaml has for browsers: the same code, of which a bundle keeps what is used. */
export const esmOfYaml = './node_modules/yaml/browser/dist/index.js';

/**
 * The curves and the post-quantum algorithms that age-encryption brings along are set up when one is first asked for:
 * few runs ever do, and setting them up takes longer than opening a file.
 */
export const algorithmsOnFirstUse: Plugin = {
  name: 'algorithms on first use',
  setup(on) {
    const namespace = 'on-first-use';
    on.onResolve({ filter: /^@noble\/(curves|post-quantum)\// }, ({ path, importer, resolveDir }) =>
      /node_modules\/age-encryption\//.test(importer.replaceAll('\\', '/'))
        ? { path, namespace, pluginData: resolveDir }
        : undefined,
    );
    on.onLoad({ filter: /./, namespace }, async ({ path, pluginData: resolveDir }) => {
      const names = Object.keys(await import(path));
      const made = names.map((name) => `export const ${name} = /* @__PURE__ */ later('${name}');`);
      const later = `const later = (name) => new Proxy({}, { get: (_, key) => require('${path}')[name][key] });`;
      return { contents: [later, ...made].join('\n'), resolveDir };
    });
  },
};

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
