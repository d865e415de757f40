// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Measures of the language: comments, texts for users, and names of functions.

import { getCode, type SourceFile } from "./source-code.ts";

/** Words that stand for a term of the field: ARCHITECTURE.md's glossary has the term. */
export const DIALECT =
  /\b(?:tells?|told|untold|deeds?|anew|nobody|somebody|whoever|whatever|whose|(?:became|come|came) of|stands? by|mend(?:ed|s)?|in step|for ever|so long|so many|gave way|let go|is no (?:form|time|pattern)|beside|in silence|mute[sd]?|muting|(?:that|which) (?:is|are) none|none of (?:its|our) business|(?<!here )(?:is|are|was|were) no (?:JSON|YAML|alerts?|violations?|objects?|known|valid|errors?))\b/gi;

/** British spellings of words that are used here. */
export const BRITISH =
  /\b(?:\w*(?:saniti|recogni|normali|seriali|organi|authori|initiali|summari|minimi|maximi|optimi|prioriti|synchroni)s(?:e|es|ed|ing|ation)|\w*(?:colour|behaviour|favour|honour|labour|neighbour)\w*|licences?|ageing|(?:label|model|travel|signal)l(?:ed|ing)|dial+led|catalogue|artefacts?|judgement|learnt|whilst)\b/gi;

const QUESTION = /^(?:What|Which|How|Whether|Who|Whose|Why|Where|When)\b/;

/** Every comment of a file: a block, or a run of line comments. Licenses and directives to tools are left out. */
export function getComments({ text }: SourceFile): string[] {
  const comments = [...text.matchAll(/\/\*\*?([\s\S]*?)\*\//g)].map(([, body = ""]) =>
    body.replace(/^\s*\*/gm, " ").trim(),
  );
  let run: string[] = [];
  for (const line of [...text.split("\n"), ""]) {
    const comment = /^\s*\/\/ ?(.*)$/.exec(line)?.[1];
    if (comment !== undefined && !/^(?:SPDX|Copyright|biome-ignore)/.test(comment)) run.push(comment);
    else if (run.length > 0) {
      comments.push(run.join(" ").trim());
      run = [];
    }
  }
  return comments.filter((comment) => comment !== "");
}

/** Words of the dialect per 1,000 words of comments, and the share of comments that open with a question word. */
export function measureComments(files: readonly SourceFile[]) {
  const comments = files.flatMap(getComments);
  const words = comments.reduce((sum, comment) => sum + comment.split(/\s+/).length, 0);
  const dialect = comments.reduce((sum, comment) => sum + (comment.match(DIALECT)?.length ?? 0), 0);
  const questions = comments.filter((comment) => QUESTION.test(comment)).length;
  return {
    comments: comments.length,
    dialectPer1000: (dialect / words) * 1000,
    questionShare: questions / comments.length,
  };
}

/** Keywords and calls that look like the definition of a method. */
const NO_FUNCTION = /^(?:if|for|while|switch|catch|it|test|describe|beforeAll|beforeEach|afterAll|afterEach)$/;

/** Names of the functions and methods that are defined in the code. */
export function listFunctionNames({ text }: SourceFile): string[] {
  const code = getCode(text);
  const names = [
    ...code.matchAll(/\bfunction\*?\s+([A-Za-z_$][\w$]*)/g),
    ...code.matchAll(/^ {2}(?:static |override |async |\*)*#?([a-z][\w$]*)\([^;]*\)(?::[^;{]*)?\s*\{$/gm),
    ...code.matchAll(/^(?:export )?const ([a-z][\w$]*) = (?:async )?\([^=]*\)(?::[^=]*)? =>/gm),
  ].map(([, name = ""]) => name);
  return names.filter((name) => name !== "constructor" && !NO_FUNCTION.test(name));
}

/** `sayWhatWasRead` as separate words. */
export function splitWords(name: string): string {
  return name.replace(/[A-Z]/g, " $&");
}

/** A name that begins with a verb, or asks (is, has, can), or names the moment that calls it (on…). */
export function isVerbFirst(name: string): boolean {
  const first = /^[a-z]+/.exec(name)?.[0] ?? "";
  return VERBS.has(first);
}

const VERBS: ReadonlySet<string> = new Set(
  `abandon abbreviate abort absorb accept acquire add adjust admit adopt advance allow append apply approve archive
  are arm ask assert attach await begin bind block build bundle cache call can cancel cap capture charge check choose
  claim clamp clean clear clone close collect combine commit compact compare compile complete compose compute confirm
  connect consume continue convert copy correlate count cover create cut declare decode decrypt delete deliver derive
  describe detach detect dial discard disconnect discover dispatch disturb do download drain drop edit emit empty
  encode end enqueue ensure enter erase escape evaluate evict exceeds execute exit expand expect expire explain
  export extend extract fail fetch fill filter finalize find finish fit flatten flush fold follow forget format
  forward free freeze gather generate get give go grow guard guess handle has hash hide hold identify ignore import
  increment index infer ingest inherit init insert inspect install interpret invalidate is issue join judge jump keep
  key kill launch lay lead learn leave limit link list listen load locate lock log look lose lower make mark mask
  match matches may measure merge migrate mix monitor mount move must mutate name narrow needs normalize notice
  notify observe offer omit on open order overwrite own pack pad page parse pass patch pause peek permute persist
  pick pin place plan poll pop prefer prefix prepare print probe process prune publish pull pump push put query queue
  quote raise rank reach read rebase receive reconcile record recover recreate redact reduce refuse regain register
  reject release reload remember remove rename render renew reopen repeat replace replay reply report request require
  reserve reset resolve respond restamp restart restore resume retain retry return reuse reverse revert revoke rotate
  round run sanitize save scan schedule score seal search seed select send separate serialize serve set settle shift
  should show shrink shut sign skip sleep slice snapshot sort spawn split start stop store stream strip submit
  subscribe subtract suffix sum summarize suspend swap sweep switch sync take tally test thaw throw tick to touch
  trace track transform trim truncate try undo unescape unfold unlock unpack update upgrade upload use validate
  verify visit wait wake walk warn watch weigh will with wrap write yield`.split(/\s+/),
);
