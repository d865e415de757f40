// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Programs that take secrets in short options or without a name, from their manuals.

/**
 * Arguments in which a program takes secrets. An option is written as in the manual, followed by the secret part of its
 * value: nothing for the whole value, `#` for a value that may be a number, `+` for an attached value, or the character (or `pass:`) before the secret. Words
 * without a dash are a command: `*` is any word, `$` a secret one, `...` the rest, `=` the value of each `name=value`.
 * `after WORD` limits the arguments after it to command lines with that word.
 */
export interface Program {
  options: ReadonlyMap<string, string>;
  commands: readonly (readonly string[])[];
  /** Options that apply only where the command line has this word. */
  after: readonly { word: string; options: ReadonlyMap<string, string> }[];
}

const TABLE = `
mysql mysqladmin mysqldump mysqlimport mysqlshow mysqlslap mysqlcheck mysqlbinlog mysqlpump mariadb mariadb-admin mariadb-dump mariadb-check mariadb-import mariadb-upgrade mysql_upgrade mycli mydumper myloader mytop mysqlhotcopy innobackupex xtrabackup mariabackup pt-table-checksum pt-query-digest pt-archiver: -p+
mysqladmin mariadb-admin: password $
mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop sshpass: -p
curl: -u: --user: -U: --proxy-user: -E: --cert: --pass --oauth2-bearer -b --cookie
wget aria2c: --http-passwd --rpc-secret
http https xh xhs: -a: --auth: -A
ab: -A: -P:
cpuminer minerd: -O: --userpass:
docker podman nerdctl buildah skopeo crane oras regctl helm cf ibmcloud oc lego img: after login -p --password
skopeo buildah crictl flux ctr podman: --creds: --src-creds: --dest-creds: --auth
ctr: -u: --user:
couchbase-cli cbbackupmgr cbq youtube-dl yt-dlp veracrypt truecrypt steghide mycli mydumper myloader oras rabbitmqadmin elasticsearch-users airflow beeline twine poetry pdm ncftpput ncftpget ncftpls cqlsh cypher-shell rdesktop evil-winrm crackmapexec netexec nxc hydra medusa wfuzz xmrig cpuminer az kopia mcrcon rcon rcon-cli: -p
crackmapexec netexec nxc evil-winrm: -H
docker: after swarm --token
redis-benchmark valkey-benchmark: -a
smbmap: -p
swaks sipp: -ap
ss-local ss-server ss-redir ss-tunnel sslocal ssserver: -k
nikto: -id:
check_http check_curl hey oha: -a: -b:
check_snmp check_hpjd: -C -A -X
check_pgsql check_mysql check_mysql_query check_radius check_disk_smb: -p
check_ldap check_ldaps check_smtp check_imap_login check_mssql: -P
check_nt: -s
icinga2: --ticket
pk12util: -W -K
virsh: secret-set-value * $
nifi.sh: set-single-user-credentials * $
pkcs11-tool pkcs15-tool pkcs15-init p11tool softhsm2-util ykman yubico-piv-tool tpm2-tool: --pin# --so-pin# --new-pin# --puk# --login-pin# --set-pin# after access -P# -n# -p#
lwp-request: -C:
redis-cli valkey-cli keydb-cli: -a --pass | auth ...$ | auth2 * $ | config set * $ | acl setuser ...>
redis-server valkey-server: --requirepass --masterauth
redis-sentinel: --sentinel | auth-pass * $
isql osql xfreerdp sqlcmd bcp zip unzip zipcloak tsql bsqldb fisql ipmitool mosquitto_pub mosquitto_sub mosquitto_rr: -P
7z 7za 7zz 7zr rar unrar: -p+ -hp+
openssl: -k -K -hmac -macopt: -pass pass: -passin pass: -passout pass: -passwd pass: | passwd ...$
java: -auth: -secret
hudson.remoting.jnlp.Main: http* $
splunk: -auth: -secret
lftp: -u,
smbclient rpcclient winexe smbget smbmap wmiexec wmic net: -U%
smbclient: | //* $
wbinfo: -a% -K% --authenticate% --krb5auth% --set-auth-user%
transmission-remote: -n:
ejabberdctl prosodyctl: register * * $ | change_password * * $
drush: user:password * $ | upwd * $
rabbitmqctl: add_user * $ | change_password * $ | authenticate_user * $
wpa_passphrase: ^* $
mkpasswd: ^* $
ipa-client-install ipa-replica-install: -w
wpa_cli: psk $
iwconfig: key $
wg: preshared-key $
nmcli iwctl: password $
mc mcli: alias set * * * $ | config host add * * * $ | admin user add * * $
net: use * $ | use * * $ | user * $
samba-tool: user create * $ | user add * $
ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldapcompare ldapmodrdn ldapexop ldappasswd dsconf dsctl dsidm ldapvi: -w
ldappasswd slappasswd: -s
kadmin kadmin.local: -w -pw
useradd usermod adduser: -p
snmpget snmpwalk snmpset snmpgetnext snmpbulkwalk snmpbulkget snmptrap snmpstatus snmptable: -c -A -X
vault bao: login $ | unwrap $ | operator unseal $ | operator generate-root $ | operator rekey $ | token renew $ | token revoke $ | token lookup $ | token capabilities $ | kv put * = | kv patch * = | after create -id
nomad: var put * =
fly flyctl heroku doppler: secrets set = | secrets import = | config:set =
consul: kv put * $ | acl set-agent-token * $
kubectl oc: after secret --from-literal=
etcdctl: --user: | user add : | user passwd :
gh: after secret -b --body
glab doctl codecov influx: -t
coveralls: -r
newrelic nuget dotnet: -k | setapikey $
nuget: push * $
dotnet: after source -p
cargo: login $
ngrok: authtoken $ | config add-authtoken $
rclone: obscure $
b2: authorize-account * $
composer: config * ...$
poetry: config * ...$
bundle: config set * : | config * :
bw: unlock $ | login * $
snyk: auth $
ansible-vault: encrypt_string $
ecryptfs-add-passphrase: ^$
mosquitto_passwd: -b ...$
grafana-cli: reset-admin-password $
grafana: reset-admin-password $
neo4j-admin: set-initial-password $
db2: using $
ftp: user * $
htpasswd: -
sqlplus sqlcl rman exp imp expdp impdp sqlldr: ^*/
rman: target */ | catalog */ | auxiliary */
ssh-keygen: -N -P
qpdf: --encrypt$ | --encrypt * $
vncviewer x11vnc: -passwd
x11vnc: -storepasswd
nats-server: --auth
pro ua: attach $
SUSEConnect suseconnect: -r --regcode
add-user.sh jboss-add-user: -p -up | ^* $
digest.sh: ...$
sendemail sendEmail: -xp
getTGT.py GetUserSPNs.py GetNPUsers.py impacket-getTGT impacket-GetUserSPNs impacket-GetNPUsers: ^:
impacket-psexec impacket-wmiexec impacket-smbexec impacket-secretsdump psexec.py wmiexec.py smbexec.py atexec.py dcomexec.py secretsdump.py mssqlclient.py getTGT.py GetUserSPNs.py GetNPUsers.py lookupsid.py ticketer.py: -hashes -aesKey -nthash
wrangler netlify: --auth after secret --value
aws: --secret-string --token-code after put-parameter --value
az: after secret --value
k3s rke2: --token -t
gcloud: activate-refresh-token * $
swift: -K
consul: -encrypt
nsupdate dig: -y:
ttyd gotty: -c: --credential:
p4: -P
op: --session
tctl: --value
wandb: login $
brook hash.sh: -p --password
transmission-daemon: -v
qshell: account * $
garage: key import * $
vercel: -t
pulumi: config set --secret * $
deluge-console: connect * * $
fly flyctl rancher: after login -t
gitlab-runner: after register -r
drone: after secret --data
jenkins-cli jenkins-cli.jar: -auth:
http https xh xhs: after bearer -a --auth after --auth-type=bearer -a --auth
chamber: write * * $
conjur: after set -v after login -p
radtest: * $ | ^* * * * $
radclient: ...$
knife: -P
zerotier-cli: -T+
frpc: -t
powershell pwsh: convertto-securestring $
ConvertTo-SecureString: ^$
elasticsearch-reset-password: -p
flyctl: -t
cf: auth * $
caddy: --plaintext
mimirtool cortextool: --key
emqx emqx_ctl: admins passwd * $ | admins add * $
zkCli.sh zkcli: addauth digest :
shodan: init $
cloudflared: service install $
microk8s: join $
vmrun: -gp -vp
filebrowser: users add * $
bitcoin-cli litecoin-cli dogecoin-cli: walletpassphrase $ | encryptwallet $ | walletpassphrasechange $ | walletpassphrasechange * $
mattermost mmctl: user password * $
doveadm: after pw -p auth test * $ | auth login * $
jwt jwt-cli: -S
oathtool: ...$
steamcmd: +login * $
vsql: -w
bteq: .logon $
signtool: /p $
salt: user.setpassword * $ | shadow.set_password * $
`;

/** Programs that read a secret from standard input; a shell's command line may show it. */
export const STDIN_READERS = new Set(
  "su pass passwd chpasswd cryptsetup kinit gpg openssl docker podman nerdctl helm skopeo buildah crane oras gh glab gcloud vault npm kadmin cf fly flyctl wrangler htpasswd restic borg sudo smbpasswd pdbedit vncpasswd elasticsearch-reset-password realm adcli openvpn openconnect saslpasswd2 minisign kubeseal bao etcdctl ssh-add".split(
    " ",
  ),
);
/** Words in the command line without which a program does not read a secret. */
export const READS_WITH: ReadonlyMap<string, RegExp> = new Map([
  ["sudo", /^-\w*S\w*$|^--stdin$/],
  ["docker", /^(?:--password-stdin|login|secret)$/],
  ["podman", /^(?:--password-stdin|login|secret)$/],
  ["nerdctl", /^(?:--password-stdin|login)$/],
  ["helm", /^(?:--password-stdin|login)$/],
  ["gh", /^(?:--with-token|secret)$/],
  ["glab", /^(?:--stdin|login)$/],
  ["gcloud", /^secrets$/],
  ["npm", /^login$/],
  ["pass", /^insert$/],
  ["saslpasswd2", /^-\w*p$/],
  ["kubeseal", /^--raw$/],
  ["openssl", /^(?:passwd|-pass|-passin|-kfile|enc|rsa|pkcs12|stdin)$/],
]);
/** Files that hold secrets: text written into one is secret. */
export const SECRET_FILES =
  /^(?:\.netrc|_netrc|\.pgpass|\.git-credentials|\.my\.cnf|\.htpasswd|\.vault-token|\.pypirc|shadow|id_[a-z0-9]+|\.dockercfg|\.s3cfg|\.smbcredentials|auth\.txt|auth-user-pass)$/;
/** Words after which the next one is a secret, in any command line. */
export const BARE_NAMES = new Set(
  "owner_pw user_pw input_pw requirepass masterauth preshared-key hash-password encode-password +rcon_password +sv_password".split(
    " ",
  ),
);

export const PROGRAMS: ReadonlyMap<string, Program> = readTable();

function readTable(): Map<string, Program> {
  const programs = new Map<
    string,
    { options: Map<string, string>; commands: string[][]; after: { word: string; options: Map<string, string> }[] }
  >();
  for (const line of TABLE.trim().split("\n")) {
    const [names = "", ...rest] = line.split(": ");
    const groups = rest
      .join(": ")
      .split("|")
      .map((group) => group.trim().split(/\s+/));
    for (const name of names.split(" ")) {
      const program = programs.get(name) ?? { options: new Map(), commands: [], after: [] };
      programs.set(name, program);
      for (const group of groups) addGroup(program, group);
    }
  }
  return programs;
}

function addGroup(
  program: {
    options: Map<string, string>;
    commands: string[][];
    after: { word: string; options: Map<string, string> }[];
  },
  group: readonly string[],
): void {
  let { options } = program;
  const command: string[] = [];
  for (let at = 0; at < group.length; at++) {
    const word = group[at] as string;
    if (word === "after") {
      options = new Map();
      program.after.push({ word: group[++at] as string, options });
    } else if (word.startsWith("-") && command.length === 0 && word !== "--encrypt") {
      const [, option = word, kind = ""] = /^(-[\w-]+)([+:%,=$#]?)$/.exec(word) ?? [];
      const next = group[at + 1];
      if (next === "pass:") at++;
      options.set(option, next === "pass:" ? next : kind);
    } else if (word !== "") {
      command.push(word);
    }
  }
  if (command.length > 0) program.commands.push(command);
}
