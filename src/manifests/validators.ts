/**
 * The JSON Schemas as functions. The package holds this file's code as the build made it, compiled ahead, because
 * compiling costs more than validating a thousand manifests (`build/dist.ts`); a checkout compiles on first use.
 */
import { readFile } from 'node:fs/promises';
import type { Options, ValidateFunction } from 'ajv';
import type { WrittenManifest } from './written.ts';

export type Kind = WrittenManifest['kind'];

export type Validators = Record<Kind, ValidateFunction>;

export const schemaFiles: Readonly<Record<Kind, string>> = {
  Project: 'project.schema.json',
  Target: 'target.schema.json',
  Role: 'role.schema.json',
  RotatedSecret: 'rotated-secret.schema.json',
};

export const ajvOptions: Options = {
  allErrors: true,
  verbose: true,
  strict: true,
  strictRequired: false,
  strictTypes: false,
  validateFormats: false,
};

export async function loadValidators(): Promise<Validators> {
  const { Ajv2020 } = await import('ajv/dist/2020.js');
  const ajv = new Ajv2020(ajvOptions);
  for (const file of Object.values(schemaFiles))
    ajv.addSchema(
      JSON.parse(await readFile(new URL(`../../schemas/${file}`, import.meta.url), 'utf8')),
      file,
    );
  const validator = (kind: Kind): ValidateFunction => {
    const validate = ajv.getSchema(schemaFiles[kind]);
    if (validate === undefined) throw new Error(`no schema for ${kind}`);
    return validate;
  };
  return {
    Project: validator('Project'),
    Target: validator('Target'),
    Role: validator('Role'),
    RotatedSecret: validator('RotatedSecret'),
  };
}
