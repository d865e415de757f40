// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Folds the parts of paths and names that vary from run to run, so that the same activity has the same name.
// Invariant: folding is idempotent; a folded part is shown as `*`.

const UUID = /[0-9a-f]{8}([-_])[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}/gi;
/** Container ids, digests, build ids: 12 hex digits or more with at least one of each kind. */
const LONG_HEX = /(?<![0-9a-z])(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{12,}(?![0-9a-z])/gi;
const DIGITS_ONLY = /^\d+$/;
/** `socket:[12345]`, `pipe:[12345]`, `anon_inode` numbers. */
const BRACKETED = /\[\d+\]/g;
/** `sh-thd-2512146865`, `go-build123456789`, `session_20381`: a counter or a random number at the end of a name. */
const TRAILING_NUMBER = /\d{5,}(?=\.[a-z]{1,5}$|$)/i;
/** The folder that Kubernetes' atomic writer creates for every update of a mounted Secret or ConfigMap. */
const ATOMIC_WRITER = /^\.\.\d{4}(?:_\d\d){4,5}\.\d+$/;

/** ULIDs (https://github.com/ulid/spec), such as the names of Prometheus' blocks. */
const ULID = /(?<![0-9A-Za-z])[0-7][0-9A-HJKMNP-TV-Z]{25}(?![0-9A-Za-z])/g;

/** A day, and the time behind it: `2026-11-23`, `20261123T101112`. */
const DATE =
  /(?<!\d)(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?:[T_.-]?\d\d[-_.:]?\d\d[-_.:]?\d\d(?:[.,]\d+)?Z?)?(?!\d)/g;

const TEMP_FOLDERS = new Set(["tmp", "shm"]);
/** `tmp.Xa91bQ`, `tmpab12cd_8`, `foo.AbC123` as mktemp and Python's tempfile create them. */
const MKTEMP = /^(tmp[._-]?)(?=[a-z0-9_]*[0-9A-Z_])[A-Za-z0-9_]{6,12}$/;
const TEMP_SUFFIX = /\.(?=[A-Za-z0-9]*[0-9A-Z])(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{6,10}$/;

/** Characters as mkstemp draws them, so that one of them is not a lower-case letter. */
const DRAWN = "(?=[A-Za-z0-9]*[0-9A-Z])[A-Za-z0-9]";

/** Temporary names in any folder, by the program that creates them; the first group stays. */
const TEMP_NAMES: readonly RegExp[] = [
  new RegExp(`^(sed)${DRAWN}{6}$`), // sed -i
  /^(tmp_(?:obj|pack|idx|rev|bitmap)_|tmp_objdir-incoming-|incoming-)[A-Za-z0-9]{6}$/, // git
  new RegExp(`^(tmp\\.)${DRAWN}{6,12}$`), // mktemp
  /^(tmp)(?=[a-z0-9_]*\d)[a-z0-9_]{8}$/, // Python's tempfile
  /^(\.#.+?)[0-9a-f]{16}$/, // systemd
  /^(\..+\.)(?=[A-Za-z0-9]*[0-9A-Z])(?=[A-Za-z0-9]*[A-Za-z])[A-Za-z0-9]{6}$/, // rsync
  /^(.+[._~-]te?mp[._~-]?)(?=[A-Za-z0-9]*[0-9A-Z])[A-Za-z0-9]{2,16}$/, // name.tmp.1234
  /^(.+;)[0-9a-f]{8}$/, // rpm
  new RegExp(`^(\\..+-)${DRAWN}{8}$`), // npm
  /^(pgsql_tmp)\d+(?:\.\d+)*$/, // PostgreSQL
  /^(temp-(?:[a-z]+-)*)\d+(?=\.(?:rdb|aof)$)/, // Redis
  /^(#sql)(?:[-_][a-z]*)?[0-9a-f]*(?:[-_][0-9a-f]+)*(?=\.|$)/, // MySQL
  /^(sess_)[A-Za-z0-9,-]{22,256}$/, // PHP's sessions
  /^(kube-api-access-)[a-z0-9]{5}$/, // the service account's volume
  /^(\.nfs)[0-9a-f]{16,}$/, // a file of NFS that is removed while it is open
  new RegExp(`^(\\.tmp)${DRAWN}{6}$`), // Rust's tempfile
  /^(core\.)\d+$/, // a core dump
  /^(\.?(?:java|attach|hs_err|replay|core)_pid)\d+(?=\.|$)/, // the Java virtual machine
  /^(run-[ru])(?:[0-9a-f]{32}|\d+)(?=\.[a-z]+$)/, // systemd's transient units
];

/** Temporary names below /tmp and /dev/shm. */
const NAMES_IN_TEMP: readonly RegExp[] = [
  new RegExp(`^(cc|php|file|rustc|cargo-install|_MEI|Rtmp|perl|v)${DRAWN}{6}(?=\\.|$)`),
  new RegExp(`^(ssh-)${DRAWN}{6,16}$`),
  new RegExp(`^(systemd-private-.+-)${DRAWN}{6}$`),
  new RegExp(`^(\\.mount_.{1,6})${DRAWN}{6}$`), // AppImage
  /^(pip-[a-z-]+-|[^-]+-)(?=[a-z0-9_]*\d)(?=[a-z0-9_]*[a-z])(?![a-z]+\d+$)[a-z0-9_]{8}$/, // Python's tempfile
  /^((?:npm|yarn)-+)\d+[-.][0-9a-f.*]+$/,
  /^([^.\d]+\.)\d{1,10}(?=\.\d+$|$)/, // a pid or a number
  /^(clr-debug-pipe-|dotnet-diagnostic-)\d+-\d+(?=-(?:in|out|socket)$)/, // .NET
  /^([^*]*)\*-\d+-(?=[a-z]*\d)[0-9a-z]{5,7}(?=\.|$)/, // Ruby's Tempfile, behind a day
];
/** Random ends of names: of mkstemp (6) and Perl's File::Temp (10). */
const MIXED_END = /^(.*?)([A-Za-z0-9]{6}|[A-Za-z0-9_]{10})$/;

/** `/etc/passwd.<pid>` of the shadow utilities. Elsewhere such an ending is a version. */
const PID_SUFFIX = /^([a-z][^.]*)\.\d{1,7}$/i;
const HAS_PID_SUFFIX = /^\/(?:[^/]+\/)*etc\//;

/** The folders into which git sorts objects by the first byte of their hash, and an object in one. */
const GIT_OBJECT = /(\.git\/(?:.+\/)?objects\/)[0-9a-f]{2}(\/[0-9a-f]{38}(?![0-9a-z]))?(?=\/|$)/;
/** The folders of caches and registries, by the first digits of a hash. */
const SHARDS = /\/([0-9a-f]{2})(?=\/\1[0-9a-f]{22})|(?:\/[0-9a-f]{1,2}){2,5}(?=\/[0-9a-f]{24})/g;
/** Kubelet's log files: `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`, … */
const CONTAINER_LOG = /^(\/var\/log\/containers\/)([^/_]+)(_[^/_]+_[^/]+)$/;
/** … and `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log`. */
const POD_LOG = /^(\/var\/log\/pods\/[^/_]+_)([^/_]+)_[^/_]+((?:\/[^/]+)?)(\/\d+(\.log.*))?$/;

/** Other paths have nothing to fold. */
const VARIES = /\d|tmp|temp|\/(?:shm|sed|\.)|\.git\/|\.[A-Za-z]{6}$|kube-api-access-|sess_|#sql|\/\/|\/$/i;

/** Folds a path: `/proc/812/maps` and `/proc/7/maps` both become `/proc/*\/maps`. */
export function foldPath(written: string): string {
  if (!VARIES.test(written)) return written;
  const path = written.startsWith("/") ? plainPath(written).replace(DATE, "*") : written;
  const known = path
    .replace(CONTAINER_LOG, (_all, folder: string, pod: string, rest: string) => folder + foldPodName(pod) + rest)
    .replace(
      POD_LOG,
      (_all, folder: string, pod: string, container: string, file = "", ending = "") =>
        `${folder}${foldPodName(pod)}_*${container}${file === "" ? "" : `/*${ending}`}`,
    )
    .replace(GIT_OBJECT, (_all, folder: string, object = "") => `${folder}*${object === "" ? "" : "/*"}`)
    .replace(SHARDS, (folders) => folders.replace(/[^/]+/g, "*"));
  const hasPidSuffix = HAS_PID_SUFFIX.test(known);
  let inTemp = false;
  return known
    .split("/")
    .map((segment) => {
      const folded = foldSegment(segment, inTemp, hasPidSuffix);
      inTemp ||= TEMP_FOLDERS.has(segment);
      return folded;
    })
    .join("/");
}

/** Outside of temporary folders, other segments have nothing to fold. */
const MAY_VARY = /[\dA-Z]|^(?:tmp_|incoming-|sess_|kube-api-access-|#sql)/;

function foldSegment(segment: string, inTemp: boolean, hasPidSuffix: boolean): string {
  if (!inTemp && !MAY_VARY.test(segment)) return segment;
  if (DIGITS_ONLY.test(segment)) return "*";
  if (ATOMIC_WRITER.test(segment)) return "..*";
  let folded = segment;
  // One replacement may reveal another.
  for (let before = ""; before !== folded; ) {
    before = folded;
    folded = foldOnce(folded, inTemp, hasPidSuffix);
  }
  return folded;
}

function foldOnce(segment: string, inTemp: boolean, hasPidSuffix: boolean): string {
  let folded = segment.replace(BRACKETED, "[*]").replace(UUID, "*").replace(ULID, "*").replace(LONG_HEX, "*");
  folded = folded.replace(TRAILING_NUMBER, "*");
  for (const name of TEMP_NAMES) folded = folded.replace(name, "$1*");
  if (inTemp) folded = foldInTemp(folded);
  else if (/^.+\.[A-Za-z0-9]{6}$/.test(folded)) folded = foldMixedEnd(folded);
  return hasPidSuffix ? folded.replace(PID_SUFFIX, "$1.*") : folded;
}

function foldInTemp(segment: string): string {
  let folded = segment.replace(MKTEMP, "$1*").replace(TEMP_SUFFIX, ".*");
  for (const name of NAMES_IN_TEMP) folded = folded.replace(name, "$1*");
  return foldMixedEnd(folded);
}

function foldMixedEnd(segment: string): string {
  return segment.replace(MIXED_END, (all, before: string, end: string) => (isDrawn(end) ? `${before}*` : all));
}

/** Returns true for upper case, lower case and digits that look random. */
function isDrawn(text: string): boolean {
  const classes = text.replace(/[a-z]/g, "a").replace(/[A-Z]/g, "A").replace(/[^aA]/g, "0");
  const changes = [...classes].filter((each, i) => i > 0 && each !== classes[i - 1]).length;
  return changes > 2 && /a/.test(classes) && /A/.test(classes) && /0[aA]|aA(?!aa)/.test(classes);
}

/** Collapses `//`, `/./`, `/x/../` and a final `/`: system calls report paths as written, LSM hooks resolved ones. */
function plainPath(path: string): string {
  if (!/\/(?:\/|\.{1,2}(?:\/|$)|$)/.test(path)) return path;
  const kept: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(segment);
  }
  return `/${kept.join("/")}`;
}

/**
 * The executable of a command line: `hint` (the alert's process name) where the line begins with it, else the first
 * word. Arguments are not part of a violation; the newest are kept as evidence.
 */
export function foldExecutable(commandLine: string, hint: string): string {
  const line = commandLine.trim();
  if (line === "") return foldPath(hint.trim());
  if (hint !== "" && line.startsWith(hint) && (line.length === hint.length || line[hint.length] === " ")) {
    return foldPath(hint);
  }
  const space = line.indexOf(" ");
  return foldPath(space < 0 ? line : line.slice(0, space));
}

/** Hash of a ReplicaSet or a revision: hex digits, or the letters of Kubernetes' own names. */
const HASH = /^(?=.*\d)(?:[0-9a-f]{6,16}|[bcdfghjklmnpqrstvwxz2456789]{6,12})$/;
/** A ReplicaSet's hash is a number in these letters, which need not have a digit. */
const TEMPLATE_HASH = /^[bcdf456789]{8,10}$/;
/** A generated name ends in five of these (k8s.io/apimachinery, rand.String). */
const GENERATED = /^[bcdfghjklmnpqrstvwxz2456789]{5}$/;
/** Words in these letters. */
const CONSONANTS: ReadonlySet<string> = new Set(["https", "smtps", "dhcpd", "grpcs", "xhtml"]);
/** Five or more letters and digits that look random. */
const MIXED = /^(?=.*[a-z])(?=.*\d.*\d)(?![a-z]+\d+$)(?!\d+[a-z]+$)[a-z0-9]{5,10}$/;
const ANY_GENERATED = /^[a-z0-9]{5}$/;
const NUMBER = /^\d{5,}$/;

/** Folds the generated end of a pod's name: `web-6c5f9d7b8-q7w2e` becomes `web-*`. Any other name stays. */
export function foldPodName(name: string): string {
  const parts = name.replace(UUID, "*").replace(LONG_HEX, "*").split("-");
  let kept = parts.length;
  if (parts.length > 2 && ANY_GENERATED.test(parts.at(-1)!) && HASH.test(parts.at(-2)!)) kept -= 2;
  while (kept > 1 && isGenerated(parts[kept - 1]!)) kept--;
  const rest = parts.slice(0, kept).map((part, i) => (i > 0 && isRandom(part) ? "*" : part));
  return kept === parts.length ? rest.join("-") : `${rest.join("-")}-*`;
}

function isGenerated(part: string): boolean {
  return isRandom(part) || MIXED.test(part) || NUMBER.test(part);
}

function isRandom(part: string): boolean {
  return part === "*" || HASH.test(part) || (GENERATED.test(part) && !CONSONANTS.has(part));
}

/** Kinds of objects with a name that stays the same in all runs. */
const LASTING: ReadonlySet<string> = new Set([
  "Deployment",
  "StatefulSet",
  "DaemonSet",
  "CronJob",
  "Rollout",
  "DeploymentConfig",
  "CloneSet",
  "Node",
  "Container",
]);

/** Folds the name of a workload with a new name in each run; `pod` is the name of its pod. */
export function foldWorkload(kind: string, name: string, pod: string): string {
  if (LASTING.has(kind)) return name;
  if (kind === "ReplicaSet") {
    const at = name.lastIndexOf("-");
    const end = name.slice(at + 1);
    const isHash = at > 0 && (HASH.test(end) || TEMPLATE_HASH.test(end)) && pod.startsWith(`${name}-`);
    return isHash ? `${name.slice(0, at)}-*` : name;
  }
  // A DeploymentConfig, which KubeArmor does not know, has one for each rollout: `web-3`.
  if (kind === "ReplicationController") return name.replace(/-\d+$/, "-*");
  if (kind === "Job") return foldPodName(name.replace(/(?:-\d+)+$/, "-*").replace(/-\d+(?=-)/g, "-*"));
  return foldPodName(name);
}
