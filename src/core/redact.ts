// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Takes secrets out of command lines before anything is keyed, kept, logged or sent.
// Invariant: works on bounded text only, so that no expression can be made to run for long.

/** Longer text is cut before it is searched; what is kept of any string is far shorter. */
const MAX_SEARCHED = 1024;
const MASK = "[REDACTED]";

/** Names whose value is a secret, wherever they stand in a flag's or a variable's name. */
const SECRET_NAMES = [
  "passwords?",
  "passwd",
  "passphrase",
  "pass(?![-_.a-z])",
  "pwd",
  "secrets?",
  "tokens?",
  "api[-_.]?key",
  "access[-_.]?key(?:[-_.]?id)?",
  "account[-_.]?key",
  "private[-_.]?key",
  "secret[-_.]?key",
  "encryption[-_.]?key",
  "shared[-_.]?access[-_.]?signature",
  "credentials?",
  "cookie",
  "connection[-_.]?string",
];

/** Text that can't hold a secret of any known form; keeps the costly expressions away from most alerts. */
const SUSPICIOUS =
  /pass|pwd|secret|token|key|cred|auth|bearer|basic|cookie|connect|signature|:\/\/|begin|akia|asia|eyj|xox|gh[a-z]_|glpat|-u|-p|:/i;

interface Rule {
  pattern: RegExp;
  replacement: string;
}

/** What a configuration may add: names of flags or variables, and whole expressions. */
export interface RedactionOptions {
  names?: readonly string[];
  patterns?: readonly string[];
}

/** Replaces secrets in `text` by a mask. */
export type Redact = (text: string) => string;

/**
 * Makes the function that redacts. Covers flags (`--password x`, `--token=x`, `mysql -px`, `curl -u user:x`),
 * variables (`DB_PASSWORD=x`), JSON and YAML pairs, `Authorization` headers, bearer and basic credentials, URL
 * credentials, AWS, GitHub, GitLab and Slack keys, JSON web tokens and private keys.
 *
 * @throws SyntaxError for a pattern that does not compile; the configuration checks it first.
 */
export function createRedactor(options: RedactionOptions = {}): Redact {
  const custom = options.patterns ?? [];
  const rules = [...builtInRules(options.names ?? []), ...custom.map(customRule)];
  return (text) => {
    if (custom.length === 0 && !options.names?.length && !SUSPICIOUS.test(text.slice(0, MAX_SEARCHED)))
      return text;
    let out = text.length > MAX_SEARCHED ? text.slice(0, MAX_SEARCHED) : text;
    for (const { pattern, replacement } of rules) out = out.replace(pattern, replacement);
    return out;
  };
}

function builtInRules(extraNames: readonly string[]): Rule[] {
  const names = [...SECRET_NAMES, ...extraNames.map(escapeRegExp)].join("|");
  const value = String.raw`(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s"'&;,)}\]]+)`;
  const name = `(?<![a-z])(?:[a-z0-9]{1,32}[-_.]){0,4}(?:${names})(?:[-_.][a-z0-9]{1,32}){0,3}`;
  return [
    {
      pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
      replacement: MASK,
    },
    { pattern: /\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?)[^"'\r\n]+/gi, replacement: `$1${MASK}` },
    {
      pattern: /\b(bearer|basic|digest|negotiate)(\s+)[A-Za-z0-9._~+/=:-]{4,}/gi,
      replacement: `$1$2${MASK}`,
    },
    {
      pattern: /\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@"']{0,128}):[^\s/@"']{1,512}@/gi,
      replacement: `$1:${MASK}@`,
    },
    { pattern: /\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[0-9A-Z]{16}\b/g, replacement: MASK },
    {
      pattern:
        /\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|sk_live_|rk_live_|AIza|npm_|hvs\.)[A-Za-z0-9_-]{10,}/g,
      replacement: MASK,
    },
    { pattern: /\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?/g, replacement: MASK },
    // name=value, name: value, "name": "value"
    {
      pattern: new RegExp(String.raw`(${name}["']?\s{0,3}(?:=|:)\s{0,3})${value}`, "gi"),
      replacement: `$1${MASK}`,
    },
    // --name value, -name value
    { pattern: new RegExp(String.raw`((?:^|\s)--?${name}\s+)${value}`, "gi"), replacement: `$1${MASK}` },
    // mysql -psecret and its family; curl and wget -u user:secret; sshpass -p secret
    {
      pattern: /\b((?:mysql|mysqldump|mysqladmin|mariadb|mongo|mongosh)\b[^|;&]*?\s-p)(?=\S)\S+/gi,
      replacement: `$1${MASK}`,
    },
    { pattern: /\b(sshpass\s[^|;&]*?-p\s*)\S+/gi, replacement: `$1${MASK}` },
    {
      pattern: /((?:^|\s)(?:-u|--user|--proxy-user)[\s=]+["']?[^\s:"']+:)[^\s"']+/gi,
      replacement: `$1${MASK}`,
    },
  ];
}

function customRule(source: string): Rule {
  return { pattern: new RegExp(source, "gi"), replacement: MASK };
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
