/** What a git child may see of our environment. Everything else, above all KEYTURN_*, stays here. */
const passed = new Set([
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'TERM', 'TZ', 'TMPDIR', 'TMP', 'TEMP'],
  ...['USERPROFILE', 'USERNAME', 'HOMEDRIVE', 'HOMEPATH', 'APPDATA', 'LOCALAPPDATA', 'PROGRAMDATA'],
  ...['SYSTEMROOT', 'COMSPEC', 'PATHEXT'],
  ...['XDG_CONFIG_HOME', 'XDG_CACHE_HOME', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS'],
  ...['SSH_AUTH_SOCK', 'SSH_AGENT_PID', 'SSH_ASKPASS', 'SSH_ASKPASS_REQUIRE', 'DISPLAY', 'WAYLAND_DISPLAY'],
  ...['GNUPGHOME', 'GPG_TTY', 'EMAIL'],
  ...[
    'HTTP_PROXY',
    'HTTPS_PROXY',
    'ALL_PROXY',
    'NO_PROXY',
    'SSL_CERT_FILE',
    'SSL_CERT_DIR',
    'CURL_CA_BUNDLE',
  ],
  ...[
    'GIT_SSH',
    'GIT_SSH_COMMAND',
    'GIT_SSH_VARIANT',
    'GIT_ASKPASS',
    'GIT_PROXY_COMMAND',
    'GIT_ALLOW_PROTOCOL',
  ],
  ...['GIT_SSL_CAINFO', 'GIT_SSL_CAPATH', 'GIT_SSL_CERT', 'GIT_SSL_KEY', 'GIT_SSL_NO_VERIFY'],
  ...['GIT_AUTHOR_NAME', 'GIT_AUTHOR_EMAIL', 'GIT_COMMITTER_NAME', 'GIT_COMMITTER_EMAIL'],
  ...[
    'GIT_CONFIG_GLOBAL',
    'GIT_CONFIG_SYSTEM',
    'GIT_CONFIG_NOSYSTEM',
    'GIT_CONFIG_COUNT',
    'GIT_CONFIG_PARAMETERS',
  ],
  ...['GIT_CEILING_DIRECTORIES', 'GIT_EXEC_PATH', 'GIT_HTTP_USER_AGENT'],
  // what credential helpers of hosts read: `gh auth git-credential`, `!f() { echo password=$GIT_TOKEN; }; f`
  ...['GH_TOKEN', 'GITHUB_TOKEN', 'GH_HOST', 'GH_CONFIG_DIR', 'GITLAB_TOKEN', 'CI_JOB_TOKEN'],
  ...['GIT_USERNAME', 'GIT_PASSWORD', 'GIT_TOKEN'],
]);
const numbered = /^GIT_CONFIG_(KEY|VALUE)_\d+$/;

/** The environment of every git child: the allow list, plus what makes git predictable. */
export function childEnvironment(env: NodeJS.ProcessEnv, terminal: boolean): Record<string, string> {
  const child: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    const key = name.toUpperCase();
    if (value !== undefined && (passed.has(key) || numbered.test(key))) child[name] = value;
  }
  return {
    ...child,
    LC_ALL: 'C',
    // a status must not rewrite the user's index
    GIT_OPTIONAL_LOCKS: '0',
    GIT_LITERAL_PATHSPECS: '1',
    ...(terminal ? {} : { GIT_TERMINAL_PROMPT: '0' }),
  };
}

/**
 * `-c` settings of every call (protocol G3): no hooks, durable writes, no background gc, no command
 * transports, no submodules, bytes as they are. Git before 2.36 ignores `core.fsync`.
 */
export const hardening: readonly string[] = [
  'core.hooksPath=/dev/null',
  'core.fsync=all',
  'gc.auto=0',
  'maintenance.auto=false',
  'protocol.ext.allow=never',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'push.recurseSubmodules=no',
  'push.followTags=false',
  'i18n.commitEncoding=utf-8',
];

/** Left out where git works on the user's files, which the user wants the way the user configured them. */
export const exactBytes = 'core.autocrlf=false';
