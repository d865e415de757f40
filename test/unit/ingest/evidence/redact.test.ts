// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `hunter2` is the secret in each line; other text under the mask does not matter here.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { emptyAlert } from "../../../../src/api/alert.ts";
import { createRedactor, STEPS_PER_ALERT } from "../../../../src/ingest/evidence/redact.ts";
import { SearchBudgets } from "../../../../src/ingest/evidence/search-budgets.ts";
import { sanitize } from "../../../../src/lib/sanitize.ts";
import { generateHostileText } from "../../../support/alert-generators.ts";
import { checkAll } from "../../../support/gen.ts";
import { parseList } from "../../../support/text-table.ts";

const redact = createRedactor();

const MASKED = {
  flags: `
    mysql --password hunter2 -h db | app --password=hunter2 | app -password hunter2 | app --db-password 'hunter2 x'
    app --db-password "hunter2 x" | app --passphrase hunter2 | app --pass hunter2 | app --password hun,hunter2;hunter2
    kubectl --token hunter2 get pods | kubectl --token=hunter2 get pods | keytool -storepass hunter2
    keytool -keypass hunter2 | wget --http-password=hunter2 | ansible --vault-password hunter2
    helm --set db.password=hunter2 | helm --set auth.rootPassword=hunter2
    kubectl create secret generic x --from-literal=pw=hunter2 | app --accessToken=hunter2
    curl --cookie a=1;session=hunter2`,
  "short options of programs that are known for them": `
    mysql -u root -phunter2 db | /usr/bin/mysqldump -uroot -phunter2 db | mariadb-dump -phunter2
    mongo -u admin -p hunter2 | mongodump -p=hunter2 | docker login -u me -p hunter2 registry
    podman --log-level=debug login -p hunter2 | helm registry login -u me -p hunter2 | sshpass -p hunter2 ssh x
    sshpass -phunter2 ssh x | redis-cli -h r -a hunter2 ping | curl -u me:hunter2 https://x
    curl -ume:hunter2 https://x | curl --user me:hunter2 https://x | curl --proxy-user me:hunter2 https://x
    curl -b session=hunter2 https://x | ldapsearch -D cn=x -w hunter2 | useradd -p hunter2 x
    htpasswd -b file user hunter2 | zip -P hunter2 a.zip b | 7z a -phunter2 x.7z | snmpwalk -v2c -c hunter2 host
    smbclient -U user%hunter2 //x/y | openssl rsa -passin pass:hunter2`,
  variables: `
    PGPASSWORD=hunter2 psql | MYSQL_PWD=hunter2 mysql | MYSQL_ROOT_PASSWORD=hunter2 | env DB_PASSWORD=hunter2 app
    DB_PASS=hunter2 | REDISCLI_AUTH=hunter2 | export SECRET=hunter2 | JWT_SECRET=hunter2 | DJANGO_SECRET_KEY='hunter2'
    ENCRYPTION_KEY=hunter2 | PRIVATE_KEY=hunter2 | GITHUB_TOKEN=hunter2 | VAULT_TOKEN=hunter2 | GOOGLE_API_KEY=hunter2
    AWS_SECRET_ACCESS_KEY=hunter2 | AWS_SESSION_TOKEN=hunter2 | aws_access_key_id=hunter2 | dbpassword=hunter2
    dbPass=hunter2 | rootpw=hunter2 | PASSWORD =  hunter2`,
  "JSON, YAML, headers": `
    {"password": "hunter2"} | {"accessToken":"hunter2"} | {"clientSecret": "hunter2"} | {"password":"a \\" hunter2"}
    {password: hunter2} | secretAccessKey: hunter2 | token: hunter2 | client-secret: hunter2 | X-Api-Key: hunter2
    curl -H Authorization: Bearer hunter2 | curl -H 'Authorization: Basic aHVudGVyMg== hunter2'
    Proxy-Authorization: Negotiate hunter2 | authorization=hunter2 | Bearer hunter2 | Basic hunter2==
    curl -H Cookie: a=1; session=hunter2 | Set-Cookie: id=hunter2; Path=/`,
  URLs: `
    https://me:hunter2@host/x | git clone https://oauth2:hunter2@gitlab.com/x.git
    https://ghp_hunter2hunter2hunter2@github.com/x.git | https://1234567890abcdefhunter2@host/x.git
    postgres://u:hunter2@db:5432/x | postgres://u:p@hunter2@db/x | postgres://u:pa/hunter2@db/x
    redis://:hunter2@r:6379 | mongodb+srv://u:hunter2@c/x | DATABASE_URL=postgres://u:hunter2@h/d
    postgresql://u@h/db?password=hunter2 | https://x/?access_token=hunter2 | https://x/?a=1&token=hunter2&b=1
    https://x.blob.core.windows.net/c?sv=1&sig=hunter2 | https://s3.amazonaws.com/b?X-Amz-Signature=hunter2&x=1
    //npm.example.com/:_authToken=hunter2`,
  "connection strings": `
    Server=db;User Id=sa;Password=hunter2; | connectionString="Server=x;Pwd=hunter2"
    AccountName=x;AccountKey=hunter2==;EndpointSuffix=x | SharedAccessSignature sr=x&sig=hunter2&se=1`,
  "keys that show by their form": `
    -----BEGIN RSA PRIVATE KEY----- hunter2 -----END RSA PRIVATE KEY-----
    -----BEGIN OPENSSH PRIVATE KEY----- hunter2
    -----BEGIN PGP PRIVATE KEY BLOCK----- hunter2 -----END PGP PRIVATE KEY BLOCK-----
    eyJhbGciOiJIUzI1NiJ9.eyJodW50ZXIyIjp0cnVlfQ.hunter2 | ghp_hunter2hunter2hunter2hunter2 | glpat-hunter2hunter2
    xoxb-hunter2hunter2-x | sk_live_hunter2hunter2 | sk-proj-hunter2hunter2 | npm_hunter2hunter2 | AIzahunter2hunter2
    vault login hvs.hunter2hunter2`,
};

const UNMASKED = `
  /etc/passwd | cat /etc/passwd | passwd root | passwd -l root | chpasswd | ssh -p 22 host | ssh -p 22 root@host
  mkdir -p /a/b | cp -p a b | nc -p 4444 host | tar -xpf a | docker run -p 8080:80 x | docker run -u 1000:1000 x
  docker run -v /etc/passwd:/etc/passwd:ro x | sudo -u root id | date -u +%H:%M | rsync -u a host:/b
  scp a 104.192.3.74:/mine/ | mysql -h db -P 3306 app | mysql -uroot db -e select | mysqladmin ping
  mongo --port 27017 | http://host:8080/path | http://10.0.0.1:8080/a@b | http://host:80/?q=a@b.c
  ssh://git@github.com/x | /run/secrets/kubernetes.io/serviceaccount/token | /run/secrets/db-password
  /home/user/.aws/credentials | kubectl get secret my-secret | kubectl get secrets -n x | kubectl create token sa
  POSTGRES_PASSWORD_FILE=/run/secrets/pg | --password-file /x | --token-ttl 5m | PWD=/root OLDPWD=/tmp | /usr/bin/pwd
  bypass=1 | compass=1 | passenger=1 | secretary=x | --tokenizer x | author=me | authority: x | monkey=banana
  keyboard: us | key=value | basic usage of things | visual basic editor | sha256:abcdef0123
  image@sha256:6216f64ab88fc51d311e38c7f69ca3f9aaba621492b4f1fa93ddf63093768845
  arn:aws:secretsmanager:us-east-1:1:secret:x | find / -name id_rsa | at 10:30 | /usr/bin/python3.6 -m pydoc
  domain=AF_UNIX type=SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC protocol=0 | syscall=SYS_OPENAT fd=-100 flags=O_RDONLY
  Class=8 SubClass=-1 Protocol=-1 Level=-1 SysPath=/sys/bus/usb/devices/1-3:1.0`;

/** Divided by dots, for blanks count. */
const HOSTILE_UNITS = [
  `a·a-·a ·1·-·= ·=·:·://·://a:·password·password=·password="·password="\\·pass·--pass ·secret.·secret-a·-p `,
  `mysql ·mysql -·vault login ·docker login·curl -u ·-u a:·Basic a·-----BEGIN ·-----BEGIN PRIVATE KEY-----`,
  `eyJaaaaaa.·AKIA·authorization=·access-key-·htpasswd -b a ·echo -a ·echo a | su ·su <<a ·sudo <<< `,
  `curl -u a:b ·mysql ·authorization: ·set db_password a1 ·s.·a:b@c ·token-a-a-a-·\\"·…`,
  `> token ·>secret ·| tee token ·<<E >token ·secret set a ·s/PASSWORD/a1/·("TOKEN","a·sign({},"·connect("a",1,`,
  `insert into a (password) values (·insert into ·<(echo ·a=<(echo ·USERPWD, "a:·cat <<< a | su ·hmac.new(b"a`,
  `printf "pw=%s" a ·printf 'pw ·jdbc:oracle:a:b/·-u a:b1 ·ParameterKey=pw,·-t aB3aB3aB3`,
  `-u a -p ·identified by ·--pass-cmd echo ·pragma key=·user=a:bcde ·--a=b:c@d ·bearer\\ `,
].flatMap((row) => row.split("·"));

describe("a secret is masked in", () => {
  it.each(Object.values(MASKED).flatMap(parseList))("%s", (line) => {
    const redacted = redact(line);
    expect(redacted).toContain("[REDACTED]");
    expect(redacted).not.toContain("hunter2");
    // The mask is put once, for any number of rules, and a second look finds nothing.
    expect(redacted).not.toMatch(/REDACTED\]\]|REDACTED\]\[/);
    expect(redact(redacted)).toBe(redacted);
  });

  it.each(["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"])("the AWS key %s", (key) => {
    expect(redact(`aws configure ${key} x`)).toBe("aws configure [REDACTED] x");
  });

  it("a URL with a password that was cut off", () => {
    const line = `clone https://me:${"s".repeat(400)}…`;
    expect(redact(line)).toBe("clone https://me:[REDACTED]…");
  });
});

describe("what stands around a secret stays", () => {
  it.each([
    ["mysql --password hunter2 -h db", "mysql --password [REDACTED] -h db"],
    ["env DB_PASSWORD=hunter2 app run", "env DB_PASSWORD=[REDACTED] app run"],
    ["https://x/?a=1&token=hunter2&b=1", "https://x/?a=1&token=[REDACTED]&b=1"],
    ["postgres://u:hunter2@db:5432/x", "postgres://u:[REDACTED]@db:5432/x"],
    ["Server=db;Pwd=hunter2;Database=x", "Server=db;Pwd=[REDACTED];Database=x"],
    ["curl -u me:hunter2 https://x", "curl -u me:[REDACTED] https://x"],
    ["mysql -u root -phunter2 db", "mysql -u root -p[REDACTED] db"],
    ['{"password": "hunter2", "user": "me"}', '{"password": [REDACTED], "user": "me"}'],
    ["token=ghp_hunter2hunter2hunter2 x", "token=[REDACTED] x"],
    ['/opt/tool x "-phunter2SECRET9"', '/opt/tool x "-p[REDACTED]"'],
    ["/opt/tool -phunter2SECRET9; ls", "/opt/tool -p[REDACTED]; ls"],
    ['tool -u bob -p"hunter2" x', "tool -u bob -p[REDACTED] x"],
    ["tool -u bob -h db -p hunter2 x", "tool -u bob -h db -p [REDACTED] x"],
    ["wg set wg0 private-key <(echo hunter2) peer x", "wg set wg0 private-key <(echo [REDACTED]) peer x"],
    ["sh -c echo hunter2 > /run/secrets/db_password; ls", "sh -c echo [REDACTED] > /run/secrets/db_password; ls"],
    ["sh -c echo hunter2 | tee -a /run/token | wc", "sh -c echo [REDACTED] | tee -a /run/token | wc"],
    ["sh -c cat > .vault_pass <<E hunter2 E", "sh -c cat > .vault_pass <<E [REDACTED] E"],
    ["c.connect('db', 5432, 'bob', 'hunter2', 'shop')", "c.connect('db', 5432, 'bob', [REDACTED], 'shop')"],
    ['define("DB_PASSWORD", "hunter2"); x', 'define("DB_PASSWORD", [REDACTED]); x'],
    ['jwt.sign({a: 1}, "hunter2", o)', "jwt.sign({a: 1}, [REDACTED], o)"],
    ["UPDATE users SET password_changed=1 WHERE id=5", "UPDATE users SET password_changed=1 WHERE id=5"],
    ["ALTER USER app IDENTIFIED BY hunter2; SELECT 1", "ALTER USER app IDENTIFIED BY [REDACTED]; SELECT 1"],
    ["sed s/@@PASSWORD@@/hunter2/g c.yml", "sed s/@@PASSWORD@@/[REDACTED]/g c.yml"],
    ["sed s/__PASSWORD__/hunter2/g c.yml", "sed s/__PASSWORD__/[REDACTED]/g c.yml"],
    ["sh -c printf 'a=%s pw=%s' x hunter2 > /f; ls", "sh -c printf 'a=%s pw=%s' [REDACTED] [REDACTED] > /f; ls"],
    ["sh -c printf 'tokens used: %s' 5; ls", "sh -c printf 'tokens used: %s' 5; ls"],
    ["app -u ann:hunter2 -l :80", "app -u ann:[REDACTED] -l :80"],
    ["docker run -u node:node2 -u 1000:node20x x", "docker run -u node:node2 -u 1000:node20x x"],
    ["java jdbc:oracle:thin:app/hunter2@//ora:1521/XE", "java jdbc:oracle:thin:app/[REDACTED]@//ora:1521/XE"],
    ["java jdbc:oracle:thin:@ora:1521:XE", "java jdbc:oracle:thin:@ora:1521:XE"],
    ["x ParameterKey=DbPassword,ParameterValue=hunter2 y", "x ParameterKey=DbPassword,ParameterValue=[REDACTED] y"],
    ["x ParameterKey=KeyName,ParameterValue=hunter2 y", "x ParameterKey=KeyName,ParameterValue=hunter2 y"],
    ["serf agent -encrypt hG7kP2xW9qLm -node n", "serf agent -encrypt [REDACTED] -node n"],
    ["agent join -t hG7kP2xW9qLm4Rt8Yb3N -u x", "agent join -t [REDACTED] -u x"],
    ["kcat -b k:9092 -t UserEventsV2 -C", "kcat -b k:9092 -t UserEventsV2 -C"],
    [`git cat-file -p ${"9d1b2f5e7c".repeat(4)}`, `git cat-file -p ${"9d1b2f5e7c".repeat(4)}`],
    ["gem install a_token -v 1.2.2", "gem install a_token -v 1.2.2"],
    ["INSERT INTO u (name, password) VALUES ('a', 'hunter2');", "INSERT INTO u (name, password) VALUES ([REDACTED]);"],
    [
      "docker login -u a --password-stdin < <(echo hunter2); ls",
      "docker login -u a --password-stdin < <(echo [REDACTED]); ls",
    ],
    ['cat <<< "hunter2" | docker login --password-stdin r', "cat <<< [REDACTED] | docker login --password-stdin r"],
    [
      "kubectl create secret generic x --from-file=pw=<(echo hunter2) -n y",
      "kubectl create secret generic x --from-file=pw=<(echo [REDACTED]) -n y",
    ],
    ['curl_setopt($c, CURLOPT_USERPWD, "a:hunter2");', 'curl_setopt($c, CURLOPT_USERPWD, "a:[REDACTED]");'],
    ['hmac.new(b"hunter2", b"x", "sha256")', 'hmac.new(b[REDACTED], b"x", "sha256")'],
    ["node -e const token = getToken(); run(token)", "node -e const token = getToken(); run(token)"],
    ["pkcs11-tool --login --pin 1234 -O", "pkcs11-tool --login --pin [REDACTED] -O"],
    ["curl -K - <<< 'user = \"bob:hunter2\"'", "curl -K - <<< 'user = \"bob:[REDACTED]\"'"],
    ["msmtp --passwordeval=echo hunter2 --host=h", "msmtp --passwordeval=echo [REDACTED] --host=h"],
    ["app --password --user x", "app --password --user x"],
  ])("%s", (line, redacted) => {
    expect(redact(line)).toBe(redacted);
  });
});

describe("no secret, no mask", () => {
  it.each(["", ...parseList(UNMASKED)])("%s", (line) => {
    expect(redact(line)).toBe(line);
  });
});

describe("configuration", () => {
  it("adds names", () => {
    const own = createRedactor({ names: ["pin", "geheim.nis"] });
    expect(own("app --pin 1234 --geheim.nis=x geheimXnis=x")).toBe(
      "app --pin [REDACTED] --geheim.nis=[REDACTED] geheimXnis=x",
    );
  });

  it("adds expressions, which match in any case", () => {
    const own = createRedactor({ patterns: ["k-\\d+"] });
    expect(own("a K-123 b k-4")).toBe("a [REDACTED] b [REDACTED]");
  });

  it("refuses an expression that does not compile", () => {
    expect(() => createRedactor({ patterns: ["("] })).toThrow(SyntaxError);
  });
});

describe("hostile text", () => {
  it("is looked at up to a bound only", () => {
    expect(redact("x".repeat(1_000_000))).toBe("x".repeat(1024));
    expect(redact(`token=${"x".repeat(1_000_000)}`)).toBe("token=[REDACTED]");
  });

  it("never takes more steps than the budget, and is masked from the second word on beyond it", () => {
    const counters = { shortened: 0 };
    const counting = createRedactor({}, counters);
    for (const unit of HOSTILE_UNITS) {
      for (const before of ["x ", "password", "mysql ", "echo ", "sudo "]) {
        const text = `${before}${unit.repeat(Math.ceil(1024 / unit.length))}`;
        const budget = { steps: STEPS_PER_ALERT };
        const { shortened } = counters;
        const redacted = counting(text, budget);
        // The last step that is refused may have been a large one.
        expect(budget.steps, text.slice(0, 40)).toBeGreaterThan(-3000);
        if (counters.shortened > shortened) expect(redacted).toMatch(/^\S+ \[REDACTED\]$/);
      }
    }
  });

  it("costs an ordinary command line of 1,024 characters less than half of an alert's budget", () => {
    const line = `java -Xmx512m -cp ${"/app/lib/a-1.2.jar:".repeat(30)} com.x.Main --a.b=/x ${"--name value ".repeat(40)}`;
    const budget = { steps: STEPS_PER_ALERT };
    expect(redact(line, budget)).toBe(line.slice(0, 1024));
    expect(budget.steps).toBeGreaterThan(STEPS_PER_ALERT / 2);
  });

  it("of one workload is not searched beyond what the workload has; that of others is", () => {
    const budgets = new SearchBudgets(50_000);
    const search = (pod: string, nowUs: number) =>
      budgets.spend({ ...emptyAlert(), NamespaceName: "shop", PodName: pod }, nowUs, (budget) => {
        const { steps } = budget;
        for (let field = 0; field < 8; field++) redact("token=a --pass b ".repeat(60), budget);
        return steps;
      });
    const given = Array.from({ length: 20 }, () => search("evil-1", 1_000_000));
    expect(given.filter((steps) => steps > 0)).toHaveLength(3);
    expect(search("web-1", 1_000_000)).toBe(STEPS_PER_ALERT);
    expect(search("evil-1", 1_400_000)).toBeGreaterThan(10_000);
    // A clock that was set back gives nothing, and takes nothing.
    expect(search("web-1", 0)).toBe(STEPS_PER_ALERT);
  });

  it("is searched alike in each alert where workloads have no bound", () => {
    const budgets = new SearchBudgets(Number.POSITIVE_INFINITY);
    const search = () => budgets.spend(emptyAlert(), 1_000_000, ({ steps }) => steps);
    expect([search(), search(), search()]).toEqual([STEPS_PER_ALERT, STEPS_PER_ALERT, STEPS_PER_ALERT]);
  });

  it("hides no secret that comes after it", () => {
    const before = fc.array(fc.oneof(generateHostileText(), fc.constantFrom(...HOSTILE_UNITS)), { maxLength: 6 });
    checkAll(2000, [before, fc.constantFrom("PGPASSWORD=", "--token ", "token: ")], (parts, form) => {
      const line = `${sanitize(parts.join(""), 512)} ${form}s3same x`;
      expect(redact(line)).not.toContain("s3same");
    });
  });
});
