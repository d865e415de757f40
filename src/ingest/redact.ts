// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Takes secrets out of command lines before anything is keyed, kept, logged or sent.
// Invariant: works on bounded text only, so that no expression can be made to run for long.

import { sanitize } from "../lib/sanitize.ts";

/** Longer text is cut before it is searched; what is kept of any string is far shorter. */
const MAX_SEARCHED = 1024;
const MASK = "[REDACTED]";

/** Names whose value is a secret. Anything may stand before one (`PGPASSWORD`, `clientSecret`, `db.password`). */
const SECRET_NAMES = [
  "passwords?",
  "passwd",
  "passphrase",
  // Not bypass, compass, trespass.
  "(?<!by|com|tres)pass(?![a-z])",
  // Not the working directory, which is a path and stands in every environment.
  String.raw`pwd(?!["']?\s{0,3}[=:]\s{0,3}["']?\/)`,
  "pw(?![a-z])",
  "secrets?",
  "tokens?",
  "(?<=_)auth",
  "authorization",
  "(?<![a-z])otp(?![a-z])",
  "hmac[-_.]?key",
  "api[-_.]?key",
  "access[-_.]?key(?:[-_.]?id)?",
  "account[-_.]?key",
  "private[-_.]?key",
  "secret[-_.]?key",
  "signing[-_.]?key",
  "encryption[-_.]?key",
  "signature",
  "(?<![a-z0-9_.-])sig",
  "credentials?",
  "cookie",
  "connection[-_.]?string",
];

/** What makes a name tell of a secret instead of holding one: `--password-file`, `TOKEN_TTL`. */
const ABOUT_A_SECRET = "files?|path|dir|fd|ttl|stdin|name|type|url|uri|policy|length|expir[a-z]*|reviews?";

/** Programs with a secret in a short option; `$` stands for white space, `=` or nothing before the value. */
const SHORT_OPTIONS: readonly (readonly [programs: string, options: string])[] = [
  // With a space after it, MySQL's -p asks and what follows is a database.
  ["mysql[a-z]*|mariadb[a-z-]*", String.raw`-p(?=\S)`],
  ["mongo[a-z]*|sshpass|az|mosquitto_(?:pub|sub)", "-p$|-P$"],
  ["(?:docker|podman|nerdctl|buildah|skopeo|crane|helm|oras)\\s(?:\\S{1,64}\\s)?login", "-p$"],
  ["redis-cli|valkey-cli", "-a$"],
  [
    "oc\\s(?:\\S{1,64}\\s)?login|rdesktop|evil-winrm|crackmapexec|netexec|nxc|hydra|medusa|cqlsh|cypher-shell",
    "-p$",
  ],
  ["isql|osql|xfreerdp", "-P$"],
  ["openssl", "-[kK]$"],
  ["https?|xh", "(?:-a|--auth)$[^\\s:]{1,128}:"],
  ["java", "-auth$[^\\s:]{1,128}:"],
  ["lftp", "-u$[^\\s,]{1,128},"],
  ["curl", "(?:-E|--cert)$[^\\s:]{1,256}:"],
  ["rabbitmqctl", "(?:add_user|change_password|authenticate_user)\\s+\\S+\\s+"],
  ["wpa_passphrase", "(?!-)\\S+\\s+"],
  ["nmcli|iwctl", "(?:password|--passphrase)\\s+"],
  ["iwconfig", "key\\s+(?:s:)?"],
  ["mc|mcli", "(?:alias|config\\shost)\\s(?:set|add)\\s+\\S+\\s+\\S+\\s+\\S+\\s+"],
  ["net\\suse", "(?!/)\\S+\\s+(?!/)(?:[/\\\\]{2}\\S+\\s+)?(?!/)"],
  ["jq", "--arg\\s+(?:pass|pw|secret|token|key)\\S*\\s+"],
  ["ldap[a-z]+", "-w$"],
  ["useradd|usermod", "-p$"],
  ["htpasswd", "-[a-zA-Z]*b[a-zA-Z]*\\s+\\S+\\s+\\S+$"],
  ["zip|unzip|sqlcmd|bcp|ipmitool", "-P$"],
  ["7za?|rar|unrar", "-p(?=\\S)"],
  ["snmp[a-z]+", "-[cAX]$"],
  ["curl", "-b$"],
  ["vault\\slogin", "(?!-)(?=\\S{20})"],
];

/** What every secret of a known form has one of; keeps the costly expressions away from most alerts. */
const SUSPICIOUS =
  /:|[=\s]-[abckpuwx]|<<<|sudo|net use|alias|config|add_user|sqlplus|identified|8q~|hf_|pypi-|dckr|atatt|lin_api|pass|pw|secret|token|key|cred|auth|bearer|basic|cookie|connect|sig|akia|asia|agpa|aida|aroa|anpa|aiza|eyj|xox|gh[a-z]_|glpat|github_|[sr]k[-_]|ya29|dop_|shpat|whsec|sg\.|hvs\.|npm_|vault/i;

/** How much of a text is searched for secrets; twice what is kept of it. */
const SEARCHED_BYTES = 1024;

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
 * Returns a function that redacts and sanitises. A text is sanitised before it is searched for secrets, so that no more
 * than a bounded one is searched, and cut after it.
 */
export function makeSafe(redact: Redact): (text: string) => string {
  return (text) => sanitize(redact(sanitize(text, SEARCHED_BYTES)));
}

/**
 * Makes the function that redacts. Covers flags (`--password x`, `--token=x`), short options of programs that are
 * known for them (`mysql -px`, `curl -u user:x`), variables (`DB_PASSWORD=x`), JSON and YAML pairs, connection
 * strings, `Authorization` and `Cookie` headers, bearer and basic credentials, URL credentials, keys of well-known
 * services, JSON web tokens and private keys. Redacting twice changes nothing.
 *
 * @throws SyntaxError for a pattern that does not compile; the configuration checks it first.
 */
export function createRedactor(options: RedactionOptions = {}): Redact {
  const custom = options.patterns ?? [];
  const rules = [...builtInRules(options.names ?? []), ...custom.map(customRule)];
  const always = custom.length > 0 || (options.names ?? []).length > 0;
  return (text) => {
    const searched = text.length > MAX_SEARCHED ? text.slice(0, MAX_SEARCHED) : text;
    if (!always && !SUSPICIOUS.test(searched)) return searched;
    let out = searched;
    for (const { pattern, replacement } of rules) out = out.replace(pattern, replacement);
    return out;
  };
}

function builtInRules(extraNames: readonly string[]): Rule[] {
  return [...formRules(), ...placeRules(), ...nameRules(extraNames), ...SHORT_OPTIONS.map(shortOptionRule)];
}

/** Secrets that show by their own form. */
function formRules(): Rule[] {
  return [
    {
      pattern:
        /-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|$)/g,
      replacement: MASK,
    },
    {
      pattern: /\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?)[^"'\r\n]+/gi,
      replacement: `$1${MASK}`,
    },
    { pattern: /\b(cookie["']?\s*:\s*["']?)[^"'\r\n]+/gi, replacement: `$1${MASK}` },
    { pattern: /\b(bearer\s+)[A-Za-z0-9._~+/=:-]{4,}/gi, replacement: `$1${MASK}` },
    // A word is no credential: base64 of any length has a digit, a capital or padding.
    {
      pattern: /\b([Bb]asic\s+)(?=[a-z/+]{0,40}[A-Z0-9=])[A-Za-z0-9+/]{6,}={0,2}(?![^\s"',;)}\]])/g,
      replacement: `$1${MASK}`,
    },
    // user:password@, up to the last @ of the host part; what follows the colon may be a port instead.
    {
      pattern:
        /(:\/\/[^\s/:@"']{0,128}:)(?:[^\s"'/?#]{1,256}(?=@)|(?!\d{1,5}[/?#])[^\s"'@]{1,256}(?=@)|[^\s"'@/?#]{12,}(?=…$))/g,
      replacement: `$1${MASK}`,
    },
    // A token alone in front of the host.
    { pattern: /(:\/\/)(?=[^\s/:@"']{0,255}\d)[A-Za-z0-9._-]{20,255}(?=@)/g, replacement: `$1${MASK}` },
    { pattern: /\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[0-9A-Z]{16}\b/g, replacement: MASK },
    {
      pattern:
        /\b(?:gh[pousr]_|github_pat_|gl(?:pat|ptt|dt|rt|soat)-|hf_|pypi-|dckr_[op]at_|lin_api_|ATATT3|AGE-SECRET-KEY-1|xox[abeoprs]-|[sr]k_(?:live|test)_|sk-|AIza|npm_|hvs\.|ya29\.|SG\.|dop_v1_|shpat_|whsec_)[A-Za-z0-9_.-]{10,}/g,
      replacement: MASK,
    },
    { pattern: /\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?/g, replacement: MASK },
    // curl -u user:secret; a pair of numbers is a user and a group.
    {
      pattern:
        /((?:^|\s)(?:-[uU]\s{0,3}|--(?:proxy-)?user[\s=]{1,3})["']?(?!\d+:\d+(?:\s|$))[A-Za-z0-9][^\s:"'/]{0,128}:)[^\s"']+/g,
      replacement: `$1${MASK}`,
    },
    {
      pattern: /((?:^|\s)-U\s{0,3}[^\s%]{1,128}%)\S+/g,
      replacement: `$1${MASK}`,
    },
  ];
}

/** Programs that take a secret on standard input, which a shell's command line may hold. */
const STDIN_READERS = "sudo|su|passwd|chpasswd|cryptsetup|kinit|gpg|openssl|(?:docker|podman|nerdctl|helm)";

/** Secrets that show by what stands before or behind them. */
function placeRules(): Rule[] {
  const rule = (pattern: RegExp): Rule => ({ pattern, replacement: `$1${MASK}` });
  return [
    rule(/(hooks\.slack\.com\/(?:services|workflows|triggers)\/)\S+/gi),
    // An application's secret in Azure: three characters, 8Q~, and the rest.
    rule(/((?<![A-Za-z0-9_~.-]))[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{20,40}/g),
    // SQL.
    rule(/(\b(?:identified\s{1,3}by|password)\s{1,3}(?:values\s{1,3}|as\s{1,3})?)(?:'[^']*'?|"[^"]*"?)/gi),
    // Bare, and in capitals only: in ordinary text the next word is none.
    rule(/(\bPASSWORD\s{1,3})(?=\S{0,256}\d)[^\s"']{6,}/g),
    rule(/(\b(?:user|owner|input)_pw\s{1,3})(?!PROMPT\b)\S+/g),
    rule(/(\bapi-key\s{1,3})(?=[a-z_.-]{0,64}\d)[a-z0-9_.-]{12,}/gi),
    // What expect answers to a prompt.
    rule(
      /(assw(?:or)?d[^a-z]{0,16}(?:\r?\n|exp_)?[^a-z]{0,16}send\s{1,3}(?:--\s{1,3})?)(?:"[^"]*"?|'[^']*'?|\{[^}]*\}?)/gi,
    ),
    rule(/(\bdb\.auth\(\s{0,3}["'][^"']{0,128}["']\s{0,3},\s{0,3})(?:'[^']*'?|"[^"]*"?)/g),
    rule(/((?:\bjdbc:oracle:[a-z0-9]+:|\bsqlplus\s(?:-\S{1,32}\s+){0,4})[^\s/@"']{1,128}\/)[^\s@"']+/gi),
    // domain/user:password@host, as Impacket's tools have it; not an image with a tag and a digest.
    rule(/((?:^|[\s"'])[\w.-]{1,64}\/[\w.$-]{1,64}:)[^\s@/"']{1,128}(?=@(?!sha\d))/g),
    rule(/(:pserver:[^\s:@]{1,64}:)[^\s@]+(?=@)/gi),
    // JSON within a quoted text.
    rule(
      /(\\["'][a-z0-9_.-]*(?:pass|pwd|secret|token|key|auth)[a-z0-9_.-]*\\["']\s{0,3}[:=]\s{0,3}\\["'])[^\\"']+/gi,
    ),
    // /password:x, as programs from Windows have it.
    rule(/((?:^|\s)\/(?:p|rp|pw|pwd|pass|password|token|key)[:=])[^\s/]\S*/gi),
    rule(
      /(\b(?:config|configure)\s{1,3}set\s{1,3}\S{0,64}(?:pass|pwd|secret|token|key|auth)\S{0,64}\s{1,3})\S+/gi,
    ),
    rule(/(\b(?:requirepass|masterauth)\s{1,3})\S+/gi),
    rule(
      /(\b(?:redis|valkey|keydb)-cli\s(?:[^|;&]{0,256}?\s)?auth\s{1,3}(?:\S{1,64}\s{1,3}(?=\S+\s*$))?)\S+/gi,
    ),
    rule(/((?<=\bcreate\s{1,3}secret\s[^|;&]{0,900})--from-literal[=\s][^\s=]{1,253}=)\S+/g),
    rule(/(\bopenssl\s{1,3}passwd\s{1,3}(?:-salt\s\S+\s{1,3}|-\S{1,16}\s{1,3}){0,4})(?!-)\S+/g),
    rule(
      new RegExp(
        String.raw`(\b(?:${STDIN_READERS})\s[^|;&]{0,256}?<<<\s{0,3})(?:'[^']*'?|"[^"]*"?|\S+)`,
        "g",
      ),
    ),
    rule(
      new RegExp(
        String.raw`(\b(?:echo|printf)\s{1,3}(?:-\S{1,8}\s{1,3}){0,3})[^|;&]{1,512}?(?=\s{0,3}\|\s{0,3}(?:${STDIN_READERS})(?:\s|$))`,
        "g",
      ),
    ),
  ];
}

/** Values of which a name says that they are secret. */
function nameRules(extraNames: readonly string[]): Rule[] {
  const names = [...SECRET_NAMES, ...extraNames.map(escapeRegExp)].join("|");
  const tail = `(?:[-_.](?!(?:${ABOUT_A_SECRET})(?![a-z0-9]))[a-z0-9]{1,32}){0,3}`;
  // From the beginning of a word only: a name is looked for once in each, however long it is.
  const name = `[a-z0-9_.-]*?(?:${names})${tail}`;
  const quoted = String.raw`\[REDACTED\]|"(?:[^"\\]|\\.)*"?|'[^']*'?`;
  // After white space an option or another name may come instead of the value: that name has its own value.
  const apart = String.raw`(?<=\s)(?!-)(?!\S*[:=](?:\s|$))`;
  const rule = (before: string, value: string): Rule => ({
    pattern: new RegExp(`(${before})(?:${quoted}|${value})`, "gi"),
    replacement: `$1${MASK}`,
  });
  return [
    // name=value
    rule(
      String.raw`(?<![a-z0-9_.-])${name}["']?\s{0,3}=\s{0,3}`,
      String.raw`(?:(?<==)|${apart})[^\s"'&;][^\s&;]*`,
    ),
    // name: value, "name": "value"; not /etc/passwd:/etc/passwd:ro and not arn:aws:…:secret:name
    rule(
      String.raw`(?<![a-z0-9_.:/-])${name}["']?\s{0,3}:\s{0,3}`,
      String.raw`(?:(?<=:)|${apart})[^\s"'&;,][^\s&;,]*`,
    ),
    // --name value, -name value
    rule(String.raw`(?:^|\s)-(?:-|(?=[a-z0-9]))${name}\s{1,3}`, String.raw`${apart}\S+`),
  ];
}

function shortOptionRule([programs, options]: readonly [string, string]): Rule {
  const option = options.replaceAll("$", String.raw`(?:\s{1,3}|=)?`);
  return {
    pattern: new RegExp(
      String.raw`(?<![a-z0-9_.-])((?:${programs})\s(?:[^|;&]{0,256}?\s)?(?:${option}))(?:\[REDACTED\]|\S+)`,
      "g",
    ),
    replacement: `$1${MASK}`,
  };
}

function customRule(source: string): Rule {
  return { pattern: new RegExp(source, "gi"), replacement: MASK };
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
