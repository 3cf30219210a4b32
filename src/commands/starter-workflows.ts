/** The two workflows that `init` writes: a check for every pull request, and the job that rotates. */
import { KeyturnError } from '../errors.ts';
import { readRelease } from '../release.ts';
import { version } from '../version.ts';

/** What the workflows run: the action at a commit, or the package from npm where no action is known. */
export type Tool = { action: string; commit: string } | { package: string };

/**
 * `--action OWNER/NAME@COMMIT`, or what was released together with this package. Throws a KeyturnError for a tag or a
 * branch: whoever can move one runs what they like with the job's identity.
 */
export function toolOf(given: string | undefined): Tool {
  if (given === undefined) return readRelease() ?? { package: version };
  const [, action, commit] = /^([A-Za-z0-9-]+\/[A-Za-z0-9._-]+)@([0-9a-f]{40})$/.exec(given) ?? [];
  if (action !== undefined && commit !== undefined) return { action, commit };
  throw new KeyturnError(`--action ${given}`, 'is not pinned to a commit', {
    hint: 'write OWNER/NAME@COMMIT with all 40 digits; git ls-remote https://github.com/OWNER/NAME shows those of tags',
  });
}

const checkout = 'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1';
const setupNode = `- uses: actions/setup-node@820762786026740c76f36085b0efc47a31fe5020 # v7.0.0
        with: { node-version: 24 }`;

const uses = (tool: { action: string; commit: string }): string =>
  `- uses: ${tool.action}@${tool.commit} # v${version}`;

export const planWorkflow = (tool: Tool): string => `name: keyturn plan
# Never pull_request_target: it would hand secrets to files that nobody has reviewed.
on: pull_request
permissions:
  contents: read
${'action' in tool ? '  pull-requests: write # for the comment; the token of a fork only reads, whatever stands here\n' : ''}concurrency:
  group: keyturn-plan-\${{ github.ref }}
  cancel-in-progress: true
jobs:
  plan:
    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: ${checkout}
        # The commit before the merge too: that is what it is compared with.
        with: { fetch-depth: 2, persist-credentials: false }
      # No key is needed, and none is given: the pull request may come from anybody.
      ${planStep(tool)}
`;

const planStep = (tool: Tool): string =>
  'action' in tool
    ? `${uses(tool)}
        with: { command: plan }`
    : `${setupNode}
      - run: npx --yes keyturn@${tool.package} validate
      - name: What the next apply does because of this change
        run: npx --yes keyturn@${tool.package} plan --against HEAD^1 --format markdown >> "$GITHUB_STEP_SUMMARY"`;

export const applyWorkflow = (tool: Tool): string => `name: keyturn apply
on:
  schedule: [{ cron: "17 * * * *" }]
  push:
    branches: [main]
    paths: [keyturn.yaml, "manifests/**", "requests/**"]
  workflow_dispatch:
    inputs:
      secret: { description: "Rotate this secret now; empty for what is due", type: string }
      reason: { description: "Why, for the history", type: string }
permissions:
  actions: read # sees that a run which was cancelled is over, and goes on where it stopped
  contents: write # pushes claims and promotions; add id-token: write where a target logs in by OIDC
concurrency: { group: keyturn, cancel-in-progress: false }
jobs:
  apply:
    runs-on: ubuntu-latest
    # Keeps the secrets to this branch, and asks reviewers where it has some.
    environment: keyturn
    timeout-minutes: 15
    steps:
      - uses: ${checkout}
        with: { ref: main }
      ${applyStep(tool)}
          KEYTURN_HEARTBEAT: \${{ secrets.KEYTURN_HEARTBEAT }}
          DB_ADMIN_PASSWORD: \${{ secrets.DB_ADMIN_PASSWORD }}
`;

const applyStep = (tool: Tool): string =>
  'action' in tool
    ? `${uses(tool)}
        with:
          command: apply
          identity: \${{ secrets.KEYTURN_IDENTITY }}
          rotate: \${{ inputs.secret }}
          reason: \${{ inputs.reason }}
        env:`
    : `${setupNode}
      - run: npm install --global --ignore-scripts keyturn@${tool.package}
      # exec: a cancelled job signals keyturn itself, which ends the step in flight.
      - run: |
          if [ -n "$SECRET" ]; then exec keyturn --yes rotate --reason "$REASON" -- "$SECRET"; fi
          exec keyturn apply
        env:
          SECRET: \${{ inputs.secret }}
          REASON: \${{ inputs.reason }}
          GITHUB_TOKEN: \${{ github.token }}
          KEYTURN_IDENTITY: \${{ secrets.KEYTURN_IDENTITY }}`;
