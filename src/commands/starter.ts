import { applyWorkflow, planWorkflow, type Tool } from './starter-workflows.ts';

/** The files that `keyturn init` writes; what it writes is what the README explains. */
export interface StarterFile {
  path: string;
  text: string;
  mode: number;
}

export function starterFiles(of: { name: string; admin: string; job: string; tool: Tool }): StarterFile[] {
  const files: [string, string][] = [
    ['keyturn.yaml', project(of)],
    ['manifests/targets/db.yaml', target],
    ['manifests/roles/app.yaml', role(of.admin)],
    ['manifests/secrets/app-db.yaml', secret],
    ['.github/workflows/keyturn-plan.yml', planWorkflow(of.tool)],
    ['.github/workflows/keyturn-apply.yml', applyWorkflow(of.tool)],
  ];
  return files.map(([path, text]) => ({ path, text, mode: 0o644 }));
}

const schema = (kind: string): string =>
  `# yaml-language-server: $schema=https://unpkg.com/keyturn@0/schemas/${kind}.schema.json\n`;

const project = ({
  name,
  admin,
  job,
}: {
  name: string;
  admin: string;
  job: string;
}): string => `${schema('project')}apiVersion: keyturn/v1
kind: Project
metadata: { name: ${name} }
spec:
  # May apply: the job and you. Each decrypts the state and every value.
  reconcilers:
    - ${job} # the job (ci-1)
    - ${admin} # you (admin-1)
  limits: { maxRotations: 20, maxShare: 0.5 }
  # A monitor that hears of every apply and sounds the alarm when it hears of none: a dead cron says nothing.
  # heartbeat: { url: { env: KEYTURN_HEARTBEAT } }
  defaults:
    schedule: { every: 30d, hour: 3, timezone: UTC }
    keep: 5
`;

const target = `${schema('target')}apiVersion: keyturn/v1
kind: Target
metadata: { name: prod/db }
spec:
  type: postgresql
  host: db.internal
  port: 5432
  # The user that may change other users' passwords. Its password is a rotated secret too, or a reference.
  credentials: { username: keyturn_admin, password: { env: DB_ADMIN_PASSWORD } }
`;

const role = (admin: string): string => `${schema('role')}apiVersion: keyturn/v1
kind: Role
metadata: { name: app }
spec:
  # Each member decrypts the secrets below with an age identity of its own: keyturn keygen --reader
  members:
    - { name: admin, recipient: ${admin} }
  secrets: ["prod/**"]
`;

const secret = `${schema('rotated-secret')}apiVersion: keyturn/v1
kind: RotatedSecret
metadata: { name: prod/db/app, description: What the app logs in with }
spec:
  target: prod/db
  rotator: password
  authenticateAs: target
  account: { username: app }
  schedule: { every: 30d, hour: 3, timezone: UTC }
`;
