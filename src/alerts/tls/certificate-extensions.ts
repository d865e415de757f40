// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads the extensions of a certificate, which node:crypto shows only in part.
// Invariant: total and bounded by the input; what it can't read or does not know is a problem, never passed over.

/** One extension; `oid` is its DER in hex. */
interface Extension {
  oid: string;
  isCritical: boolean;
  value: Buffer;
}

interface Element {
  tag: number;
  body: Buffer;
}

const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const BOOLEAN = 0x01;
const OCTET_STRING = 0x04;
const BIT_STRING = 0x03;
/** [3] EXPLICIT in TBSCertificate (RFC 5280, 4.1). */
const EXTENSIONS = 0xa3;

const KEY_USAGE = "551d0f";
const NAME_CONSTRAINTS = "551d1e";
/** Those that the verification of a chain without intermediates looks at: key usages, names, basic constraints. */
const UNDERSTOOD = new Set([KEY_USAGE, "551d11", "551d13", "551d25"]);

/** The first bits of KeyUsage: any of these serves a TLS server's handshake (as in OpenSSL's check_purpose_ssl_server). */
const DIGITAL_SIGNATURE = 0x80;
const KEY_ENCIPHERMENT = 0x20;
const KEY_AGREEMENT = 0x08;
const CERT_SIGN = 0x04;

/** Says why the extensions of a certificate (DER) forbid its use in this role; undefined when they do not. */
export function extensionProblem(der: Buffer, role: "server" | "authority"): string | undefined {
  const extensions = extensionsOf(der);
  if (extensions === undefined) return "its extensions can't be read";
  for (const { oid, isCritical } of extensions) {
    if (oid === NAME_CONSTRAINTS) return "its authority's name constraints are not understood here";
    if (isCritical && !UNDERSTOOD.has(oid)) return `its critical extension ${oid} is not understood`;
  }
  const usage = extensions.find(({ oid }) => oid === KEY_USAGE);
  if (usage === undefined) return undefined;
  const wanted = role === "authority" ? CERT_SIGN : DIGITAL_SIGNATURE | KEY_ENCIPHERMENT | KEY_AGREEMENT;
  return (firstBits(usage.value) & wanted) === 0 ? `its key usage is not that of a TLS ${role}` : undefined;
}

function extensionsOf(der: Buffer): Extension[] | undefined {
  const certificate = only(elements(der), SEQUENCE);
  const signed = certificate && elements(certificate)?.[0];
  if (signed?.tag !== SEQUENCE) return undefined;
  const fields = elements(signed.body);
  if (fields === undefined) return undefined;
  const wrapped = fields.find(({ tag }) => tag === EXTENSIONS);
  if (wrapped === undefined) return [];
  const list = only(elements(wrapped.body), SEQUENCE);
  const extensions = (list && elements(list))?.map(extensionOf);
  return extensions?.every((one) => one !== undefined) ? extensions : undefined;
}

function extensionOf({ tag, body }: Element): Extension | undefined {
  const [id, ...rest] = (tag === SEQUENCE && elements(body)) || [];
  const value = rest.pop();
  const critical = rest.pop();
  if (id?.tag !== OBJECT_IDENTIFIER || value?.tag !== OCTET_STRING || rest.length > 0) return undefined;
  if (critical !== undefined && (critical.tag !== BOOLEAN || critical.body.length !== 1)) return undefined;
  return {
    oid: id.body.toString("hex"),
    isCritical: critical?.body[0] !== undefined && critical.body[0] !== 0,
    value: value.body,
  };
}

function firstBits(value: Buffer): number {
  const bits = only(elements(value), BIT_STRING);
  // The first byte tells how many bits at the end are unused.
  return bits?.[1] ?? 0;
}

function only(found: Element[] | undefined, tag: number): Buffer | undefined {
  return found?.length === 1 && found[0]?.tag === tag ? found[0].body : undefined;
}

/** Splits DER into its elements; undefined where it is none. */
function elements(der: Buffer): Element[] | undefined {
  const found: Element[] = [];
  for (let at = 0; at < der.length; ) {
    const tag = der[at] ?? 0;
    const head = lengthAt(der, at + 1);
    // Tags beyond 30 take more bytes; a certificate has none.
    if (head === undefined || (tag & 0x1f) === 0x1f || head.end > der.length) return undefined;
    found.push({ tag, body: der.subarray(head.start, head.end) });
    at = head.end;
  }
  return found;
}

function lengthAt(der: Buffer, at: number): { start: number; end: number } | undefined {
  const first = der[at];
  if (first === undefined) return undefined;
  if (first < 0x80) return { start: at + 1, end: at + 1 + first };
  const count = first & 0x7f;
  if (count === 0 || count > 4 || at + count >= der.length) return undefined;
  const length = der.readUIntBE(at + 1, count);
  return { start: at + 1 + count, end: at + 1 + count + length };
}
