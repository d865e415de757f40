// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Secrets that show by their own form: tokens of well-known services, keys, JSON web tokens.
// The prefixes are those of the rules in https://github.com/gitleaks/gitleaks (config/gitleaks.toml at b58d3f1), without
// their exact lengths, since a text may have been cut. They are under this license:
//
// MIT License. Copyright (c) 2019 Zachary Rice
// Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
// documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
// rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
// persons to whom the Software is furnished to do so, subject to the following conditions: The above copyright notice
// and this permission notice shall be included in all copies or substantial portions of the Software.
// THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
// WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
// COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
// OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

import type { Marks } from "./marks.ts";

/** Prefixes of tokens; at least MIN_BODY characters follow. A longer prefix comes before one that it begins with. */
const PREFIXES = `
  ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- glptt- gldt- glrt- glrtr- glsoat- glcbt- glffct- glft- glimt- glagent-
  gloas- GR1348941 xoxa- xoxb- xoxc- xoxd- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs- xapp- sk_live_ sk_test_ sk_prod_ rk_live_
  rk_test_ rk_prod_ sk-ant- sk-proj- sk-svcacct- sk-admin- sk-or- sk- gsk_ xai- pplx- r8_ hf_ api_org_ npm_ pypi- dckr_pat_
  dckr_oat_ rubygems_ AIza ya29. GOCSPX- 1//0 doo_v1_ dop_v1_ dor_v1_ dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.
  EAAC EAAM EAAA sq0atp- sq0csp- shpat_ shpca_ shppa_ shpss_ SG. xkeysib- key- whsec_ PMAK- lin_api_ lin_oauth_ ntn_
  secret_ figd_ figo_ dapi glc_ glsa_ pul- hvs. hvb. hvr. s. b. r. nfp_ sbp_ sb_secret_ NRAK- NRAA- NRII- NRJS- ATATT3
  ATCTT3 ATBB ATSTT sntrys_ sntryu_ tfp_ fo1_ fm1a_ fm1r_ fm2_ FlyV1 fio-u- duffel_ dt0c01. dt0s16. EZAK EZTK FLWSECK
  LTAI p8e- AKCp cmVmd ABSK bedrock-api-key- CLOJARS_ v1.0- ops_eyJ sgp_ shippo_live_ shippo_test_ sm_aat_ sm_pat_ sm_sat_
  pscale_tkn_ pscale_pw_ pscale_oauth_ pnu_ rdme_ tk-us- ico- s-s4t2 sha256~ HRKU- API- tskey- tskey-auth- KGAT_ lsv2_pt_
  lsv2_sk_ fpk_live_ SWMTKN- AGE-SECRET-KEY-1 QPZRY8 ACCA pat. sat. eyJrIjoi eyJhIjoi ZXlK K10 cio_ prefect_ pnpm_ bkua_
  bkaj_ CCIPAT_ tok_ rnd_ re_ vercel_ cfut_ v1.public. waka_ nrk- ubi_ SK ddp_ phc_ phx_ snyk_ squ_ sqp_ sqa_ dsd_ glwt-
`
  .split(/\s+/)
  .filter((prefix) => prefix !== "")
  .sort((a, b) => b.length - a.length);

/** Prefixes so short or so similar to words that all characters after them must look random. */
const STRICT = new Map<string, RegExp>([
  ["s.", /^[A-Za-z0-9]{24}$/],
  ["b.", /^[A-Za-z0-9]{24,}$/],
  ["r.", /^[A-Za-z0-9]{24}$/],
  ["SK", /^[0-9a-f]{32}$/],
  ["sk-", /^(?=.*\d)[A-Za-z0-9_-]{16,}$/],
  ["key-", /^(?=.*\d)[0-9a-f]{32}$/],
  ["secret_", /^(?=.*\d)[A-Za-z0-9]{40,}$/],
  ["API-", /^(?=.*\d)[A-Z0-9]{26}$/],
  ["SG.", /^(?=.*\d)[A-Za-z0-9=_.-]{20,}$/],
  ["pat.", /^(?=.*\d)[\w-]{20,}(?:\.[\w-]+)*$/],
  ["sat.", /^(?=.*\d)[\w-]{20,}(?:\.[\w-]+)*$/],
  ["re_", /^(?=.*\d)(?=.*[A-Z])[A-Za-z0-9_]{20,}$/],
  ["K10", /^[0-9a-f]{40,}/],
  ["1//0", /^[\w-]{20,}$/],
  ["v1.0-", /^[0-9a-f]{24}-[0-9a-f]{20,}$/],
  ["pypi-", /^A[\w-]{15,}$/],
  ["EAAA", /^[\w-]{20,}$/],
]);
const MIN_BODY = 10;
const MAX_TOKEN = 400;
/** Steps of one check for the start of a token. */
const PLACE_STEPS = 30;

const byFirst = new Map<string, string[]>();
for (const prefix of PREFIXES) byFirst.set(prefix[0] as string, [...(byFirst.get(prefix[0] as string) ?? []), prefix]);

const RUN = /[A-Za-z0-9_.~+/=%-]{16,}/g;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALL = `${LETTERS}${LETTERS.toLowerCase()}0123456789_~.-`;
/** Tokens without a prefix, by the characters that they may begin with. */
const SHAPES: readonly (readonly [start: string, shape: RegExp])[] = [
  // A JSON web token: three parts of base64url; the first is a JSON object.
  ["e", /^ey[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?/],
  ["A", /^(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}(?![A-Za-z0-9])/],
  // A client secret of Azure.
  [ALL, /^[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{20,40}$/],
  // Terraform Cloud.
  [ALL, /^(?:[A-Za-z0-9]{14}\.)?atlasv1\.[A-Za-z0-9_=-]{20,}/],
];
const BEGIN_KEY = "-----BEGIN ";
const KEY_END = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----/;
/** URLs that are credentials themselves. */
const SECRET_PATHS = [
  "hooks.slack.com/services/",
  "hooks.slack.com/workflows/",
  "hooks.slack.com/triggers/",
  "discord.com/api/webhooks/",
  "discordapp.com/api/webhooks/",
  "hooks.zapier.com/hooks/catch/",
  ".webhook.office.com/webhookb2/",
  "outlook.office.com/webhook/",
  "api.telegram.org/bot",
  "maker.ifttt.com/trigger/",
  "chat.googleapis.com/v1/spaces/",
  "hook.eu1.make.com/",
  "hook.us1.make.com/",
];

/** Marks the secrets that show by their own form. */
export function markShapes(marks: Marks): void {
  const { text } = marks;
  markKeys(marks);
  for (const path of SECRET_PATHS) {
    const at = text.indexOf(path);
    if (at >= 0) marks.hideValue(at + path.length, "\"'");
  }
  if (text.length < 16) return;
  markStreamKey(marks);
  marks.spend(text.length);
  for (const { 0: run, index } of text.matchAll(RUN)) markRun(marks, run, index);
}

/** Marks the key of `rtmp://host/app/key`, unless it is short, or a name without a digit. */
function markStreamKey(marks: Marks): void {
  const at = /rtmps?:\/\//.exec(marks.text)?.index;
  if (at === undefined) return;
  const found = /^rtmps?:\/\/[^\s/]{1,253}\/[^\s/]{1,64}\/(?=\S*\d)[\w-]{16,}/.exec(
    marks.text.slice(at, at + MAX_TOKEN),
  )?.[0];
  if (found) marks.hideValue(at + found.lastIndexOf("/") + 1, "\"'?");
}

/** Checks each possible start of a token in a run of token characters. */
function markRun(marks: Marks, run: string, index: number): void {
  for (let at = 0; at < run.length - MIN_BODY; at++) {
    if (at > 0 && /[A-Za-z0-9]/.test(run[at - 1] as string)) continue;
    marks.spend(PLACE_STEPS);
    const end = shapeEnd(marks, run, at);
    if (end === 0) continue;
    marks.hide(index + at, index + end);
    at = end;
  }
}

/** Returns the end of the token that begins at `at`; 0 where there is none. */
function shapeEnd(marks: Marks, run: string, at: number): number {
  const prefix = byFirst.get(run[at] as string)?.find((each) => run.startsWith(each, at));
  if (prefix !== undefined) {
    const end = bodyEnd(run, at + prefix.length);
    marks.spend(end - at);
    const body = run.slice(at + prefix.length, end);
    if (body.length >= MIN_BODY && (STRICT.get(prefix) ?? /[\dA-Z]/).test(body)) return end;
  }
  const rest = run.slice(at, at + MAX_TOKEN);
  for (const [start, shape] of SHAPES) {
    const found = start.includes(rest[0] as string) ? shape.exec(rest) : null;
    if (found) return at + found[0].length;
  }
  return 0;
}

function bodyEnd(run: string, from: number): number {
  const limit = Math.min(run.length, from + MAX_TOKEN);
  let end = from;
  while (end < limit && run[end] !== "/" && run[end] !== "%") end++;
  return end;
}

function markKeys(marks: Marks): void {
  const { text } = marks;
  for (let at = text.indexOf(BEGIN_KEY); at >= 0; at = text.indexOf(BEGIN_KEY, at + 1)) {
    const head = text.slice(at, at + 80);
    if (!/^-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY/.test(head)) continue;
    marks.spend(text.length - at);
    const end = KEY_END.exec(text.slice(at));
    marks.hide(at, end ? at + end.index + end[0].length : text.length);
  }
}
