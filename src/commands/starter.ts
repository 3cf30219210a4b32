/** The files that `keyturn init` writes; what it writes is what the README explains. */
export interface StarterFile {
  path: string;
  text: string;
  mode: number;
}

export function starterFiles(of: {
  name: string;
  version: string;
  admin: string;
  job: string;
}): StarterFile[] {
  const files: [string, string][] = [
    ['keyturn.yaml', project(of)],
    ['manifests/targets/db.yaml', target],
    ['manifests/roles/app.yaml', role(of.admin)],
    ['manifests/secrets/app-db.yaml', secret],
    ['.github/workflows/keyturn-plan.yml', planWorkflow(of.version)],
    ['.github/workflows/keyturn-apply.yml', applyWorkflow(of.version)],
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

const planWorkflow = (version: string): string => `name: keyturn plan
on:
  pull_request:
    paths: [keyturn.yaml, "manifests/**"]
permissions: { contents: read }
jobs:
  validate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
      - uses: actions/setup-node@820762786026740c76f36085b0efc47a31fe5020 # v7.0.0
        with: { node-version: 24 }
      # No secret is needed, and none is given: the pull request may come from anybody.
      - run: npx --yes keyturn@${version} validate
      - name: What the next apply does because of this change
        run: |
          git fetch --depth=1 origin "$BASE"
          npx --yes keyturn@${version} plan --against FETCH_HEAD --format markdown >> "$GITHUB_STEP_SUMMARY"
        env: { BASE: "\${{ github.base_ref }}" }
`;

const applyWorkflow = (version: string): string => `name: keyturn apply
on:
  schedule: [{ cron: "17 * * * *" }]
  workflow_dispatch: {}
  push:
    branches: [main]
    paths: [keyturn.yaml, "manifests/**", "requests/**"]
permissions: { contents: write }
concurrency: { group: keyturn, cancel-in-progress: false }
jobs:
  apply:
    runs-on: ubuntu-latest
    environment: keyturn
    timeout-minutes: 15
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
      - uses: actions/setup-node@820762786026740c76f36085b0efc47a31fe5020 # v7.0.0
        with: { node-version: 24 }
      - run: npm install --global --ignore-scripts keyturn@${version}
      # exec: a cancelled job signals keyturn itself, which ends the step in flight.
      - run: exec keyturn apply
        env:
          KEYTURN_IDENTITY: \${{ secrets.KEYTURN_IDENTITY }}
          DB_ADMIN_PASSWORD: \${{ secrets.DB_ADMIN_PASSWORD }}
`;
