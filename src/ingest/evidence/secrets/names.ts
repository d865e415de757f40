// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Names of variables, flags, fields and headers with a secret value: `DB_PASSWORD`, `clientSecret`, `X-Api-Key`.

/** `strong`: any value is a secret; `weak`: a value that looks random is. */
export type Strength = "strong" | "weak" | "none";

export type Classify = (name: string) => Strength;

/** Words that a part of a name ends in (`storepass`, `dbpassword`). */
const SECRET_ENDINGS = [
  "password",
  "passwords",
  "passwd",
  "passphrase",
  "passwort",
  "passcode",
  "pass",
  "pswd",
  "pwd",
  "psw",
  "pw",
  "secret",
  "secrets",
  "token",
  "tokens",
  "credential",
  "credentials",
  "creds",
  "apikey",
  "authkey",
  "accesskey",
  "secretkey",
  "privatekey",
  "signingkey",
  "encryptionkey",
  "masterkey",
  "accountkey",
  "sharedkey",
  "cookie",
  "webhook",
];
/** Whole parts of a name. */
const SECRET_WORDS = new Set([
  "psk",
  "otp",
  "authorization",
  "signature",
  "sig",
  "masterauth",
  "jaas",
  "community",
  "cred",
]);
const NO_SECRET_WORDS = new Set(["bypass", "compass", "trespass", "surpass", "encompass", "askpass", "oldpwd"]);
/** Words that make a key a secret; other keys are names of entries. */
const KEY_KINDS = new Set(
  "access account activation api apikey app application auth authentication certificate client crypt customer data decryption deploy enc encrypt encryption encryptor enrollment fernet functions hmac ingest join jwt license licence master meili pairing private product rails registration root secret server service session setup shared sharing sign signing ssec ssh storage subscription symmetric validation wallet webhook write admin".split(
    " ",
  ),
);
const WEAK_WORDS = new Set(
  "key auth salt session sessionid sid jwt bearer pin code login dsn seed mnemonic license nonce hash body value data sasl hmac encrypt x p k".split(
    " ",
  ),
);
/** A name with one of these behind the word is about a secret, but holds none: `--password-file`, `TOKEN_TTL`. */
const ABOUT = new Set(
  "age attempts changed column created days expired field history hours minutes modified regex reset rotated seconds since strength sync syncs until updated file files path paths dir fd ttl stdin name names type url uri policy policies length expire expires expiry expiration review reviews mode secure domain count size limit limits hash provider endpoint host port header headers refresh rotation rotate algorithm alg method claim issuer audience scope scopes env from ref arn lifetime duration interval period timeout enabled enable required validation check prompt version format config server manager engine reader command eval in jar samesite httponly parallelism authentication authenticator helper namespace encryption store only csv signer".split(
    " ",
  ),
);
/** The name of a cluster of etcd. */
const NO_SECRET_NAME = /initial[-_]cluster[-_]token$/i;
/** `--max-tokens`, `eos_token`: tokens of a language model. */
const COUNTED = new Set(
  "max min num n count total per batched new pad eos bos unk sep cls mask vocab special image prompt completion".split(
    " ",
  ),
);
/** `--ask-pass`, `existingSecret`: a switch, or the name of a secret that is kept elsewhere. */
const SWITCHED = new Set(
  "ask no without enable enabled disable disabled allow require get list existing automount".split(" "),
);

const known = new Map<string, Strength>();
const MAX_KNOWN = 4096;

/** Classifies the value of a name; remembers its results. */
export function getStrength(name: string): Strength {
  const before = known.get(name);
  if (before !== undefined) return before;
  if (known.size >= MAX_KNOWN) known.clear();
  const strength = classify(name);
  known.set(name, strength);
  return strength;
}

function classify(name: string): Strength {
  if (name.length > 100) return classify(name.slice(-100));
  if (NO_SECRET_NAME.test(name)) return "none";
  const words = splitName(name);
  for (let at = words.length - 1; at >= 0; at--) {
    const strength = wordStrength(words, at, name);
    if (strength === "none") continue;
    const isAbout = words.slice(at + 1).some((word) => ABOUT.has(word));
    const before = words.slice(0, at);
    const isCounted = /^tokens?$/.test(words[at] as string) && before.some((word) => COUNTED.has(word));
    const isSwitched = strength === "strong" && before.some((word) => SWITCHED.has(word));
    return isAbout || isCounted || isSwitched ? "none" : strength;
  }
  return "none";
}

function wordStrength(words: readonly string[], at: number, name: string): Strength {
  const word = words[at] as string;
  if (NO_SECRET_WORDS.has(word)) return "none";
  // `--password1` of two logins.
  if (/^(?:password|passwd|passphrase|pass|pwd)\d$/.test(word)) return "strong";
  if (SECRET_WORDS.has(word) || SECRET_ENDINGS.some((ending) => word.endsWith(ending))) return "strong";
  // `--activationkey`
  if (word.endsWith("key") && KEY_KINDS.has(word.slice(0, -3))) return "strong";
  const previous = words[at - 1];
  if (word === "key") return previous !== undefined && KEY_KINDS.has(previous) ? "strong" : "weak";
  if (word === "auth") return /_auth$/i.test(name) ? "strong" : "weak";
  if (word === "string" && previous === "connection") return "strong";
  if (word === "assertion" && at > 0 && at === words.length - 1) return "strong";
  if (word === "salt" && words.length > 1) return "strong";
  if (word === "id" && (previous === "secret" || (previous === "key" && words[at - 2] === "access"))) return "strong";
  return WEAK_WORDS.has(word) && at === words.length - 1 ? "weak" : "none";
}

/** The words of a name in lower case; the same for `DB_PASSWORD`, `db.password` and `dbPassword`. */
export function splitName(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .toLowerCase()
    .split(/[_.\-:/\s]+/)
    .filter((word) => word !== "");
}
