// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Command lines and resources without a secret, many with words that secrets have, written down before the rules that
// are measured with them.

export const ORDINARY_LINES: readonly string[] = `
kube-controller-manager --root-ca-file=/ca.crt --service-account-private-key-file=/sa.key --use-service-account-credentials=true
kube-scheduler --authentication-kubeconfig=/etc/kubernetes/scheduler.conf --authorization-kubeconfig=/x
kube-apiserver --service-account-key-file=/sa.pub --token-auth-file=/t.csv --audit-policy-file=/p.yaml
kube-apiserver --oidc-issuer-url=https://h --oidc-username-claim=email --service-account-issuer=https://kubernetes.default
kubelet --rotate-certificates=true --client-ca-file=/ca.crt --pod-infra-container-image=registry.k8s.io/pause:3.9
kubectl get secrets -A -o name
kubectl describe secret web-tls -n shop
kubectl delete secret db-password
kubectl get pods -l app=auth,tier=token
kubectl create secret generic x --from-file=tls.key=/x/tls.key
kubectl create serviceaccount token-reader
kubectl auth can-i get secrets --all-namespaces
kubectl config use-context prod
kubectl logs deploy/auth-server -c token-proxy
kubectl exec -it web-1 -- cat /run/secrets/token
kubectl rollout restart deploy/password-reset
kubectl port-forward svc/vault 8200:8200
helm install auth ./chart --set image.tag=1.2.3 --set replicas=3
helm upgrade x ./c --set existingSecret=db-credentials
helm template x ./c --set auth.enabled=true --set auth.existingSecret=x
helm repo add hashicorp https://helm.releases.hashicorp.com
docker run -p 8080:80 -v /a:/b:ro --name auth nginx:1.25
docker run -u 1000:1000 -e TZ=UTC img
docker exec -u root web sh
docker inspect --format {{.Config.User}} web
docker pull registry.example.com/auth/token-service:v1.2.3
docker login registry.example.com
docker secret ls
docker build -t r/x:1 --secret id=npm,src=/x/.npmrc .
podman run --secret=db -d postgres
crictl ps -a
nerdctl ps
git fetch origin pull/12/head:pr-12
git checkout -b fix/token-refresh
git commit -m fix password reset for users
git commit -m Add token: parse it early
git log --author=pass --grep=secret
git config user.email dev@example.org
git config credential.helper cache
git clone git@github.com:org/secret-santa.git
git clone https://github.com/org/password-store.git
git push --tags origin HEAD:main
git -c core.sshCommand=ssh -i /k fetch
ssh -i /home/u/.ssh/id_ed25519 -p 2222 u@h uptime
ssh -L 5432:db:5432 u@bastion
ssh-keygen -t ed25519 -f /home/u/.ssh/k -C u@h
ssh-keygen -lf k.pub
ssh-add -l
scp -r a u@h:/tmp/b
sftp -b batch u@h
rsync -a --password-file=/etc/rsync.pass a u@h::m
curl -sS -o /dev/null -w %{http_code} http://h/healthz
curl -H Accept: application/json -H X-Request-Id: 42 http://h/v1/tokens
curl -X DELETE http://h:9200/auth-logs-2024.01.01
curl -d grant_type=client_credentials http://h/oauth/token
curl -d {"name":"x","size":3} http://h/api
curl http://h/search?q=password+reset&lang=en
curl http://h/a?key=1&value=2
curl --cacert /ca.pem --cert /c.pem --key /k.pem https://h
curl -u : --negotiate https://h
curl -x http://proxy:3128 https://h
curl -b cookies.txt -c cookies.txt http://h/login
curl -F file=@/tmp/a.tgz https://h/upload
curl --user-agent Mozilla/5.0 https://h
curl -L https://get.helm.sh/helm-v3.14.0-linux-amd64.tar.gz
wget --no-check-certificate -O /tmp/x https://h/x
wget --header=Accept: text/html https://h
wget --user-agent=Mozilla https://h
http GET https://h/users id==3 sort==name
mysql -h db -u root shop
mysql --defaults-file=/etc/my.cnf -e SHOW TABLES
mysql -p shop
mysqldump --single-transaction -u root shop
mysqladmin -h db status
psql -h db -U app -d shop -c SELECT count(*) FROM tokens
psql -c \\d password_resets
pg_dump -Fc -f /b/x.dump shop
pg_isready -h db -p 5432
createuser --pwprompt app
redis-cli -h cache -p 6379 get session:42
redis-cli info memory
redis-server *:6379
mongosh mongodb://db:27017/shop
mongodump --db shop --out /b
sqlite3 /var/lib/app/auth.db .tables
openssl x509 -in c.pem -noout -dates
openssl s_client -connect h:443 -servername h
openssl genrsa -out k.pem 2048
openssl rand -base64 32
openssl dgst -sha256 f
openssl enc -d -aes-256-cbc -in a -pass file:/run/pw
openssl passwd -help
gpg --list-secret-keys
gpg --export-secret-keys --armor u@h
gpg --import k.asc
keytool -list -keystore /k.jks
vault status
vault kv get secret/db
vault token lookup
vault token renew
vault secrets enable -path=kv kv-v2
vault login -method=oidc
vault write -f transit/keys/app
vault agent -config=/a.hcl
consul kv get app/db/password
consul members
nomad job status
aws s3 cp s3://bucket/passwords.csv -
aws secretsmanager get-secret-value --secret-id db
aws ssm get-parameter --name /db/password --with-decryption
aws sts assume-role --role-arn arn:aws:iam::123456789012:role/x --role-session-name y
aws iam list-access-keys --user-name u
aws configure list
aws ecr get-login-password --region eu-west-1
aws ec2 describe-key-pairs
aws --profile auth sts get-caller-identity
az login --identity
az account get-access-token --resource https://h
az keyvault secret list --vault-name v
az aks get-credentials -g g -n n
az ad sp list --display-name p
gcloud secrets versions access latest --secret=db
gcloud auth list
gcloud config set project p
gcloud container clusters get-credentials c
gcloud iam service-accounts keys list
terraform init -backend-config=key=prod/terraform.tfstate
terraform apply -var region=eu-west-1 -auto-approve
ansible-playbook -i inv --ask-vault-pass site.yml
ansible-playbook --vault-password-file /x site.yml
ansible all -m user -a name=app state=present
npm ci --ignore-scripts
npm install jsonwebtoken passport bcrypt
npm token list
npm run test:auth
npx create-react-app my-app
node --max-old-space-size=512 server.js
node server.js --port 3000 --host 0.0.0.0
yarn add keytar
pip install PyJWT==2.8.0 cryptography
pip install -r requirements.txt --no-cache-dir
python -m http.server 8000
python manage.py createsuperuser --noinput
python manage.py changepassword admin
python -c import secrets
python -m tokenize x.py
python train.py --max_new_tokens 256 --pad_token_id 0 --eos-token </s>
java -Xmx512m -Djava.security.egd=file:/dev/urandom -jar app.jar
java -Djavax.net.ssl.trustStore=/t.jks -jar a.jar
java -Dspring.profiles.active=prod,auth -jar a.jar
mvn -B -DskipTests package
gradle build -x test
go test ./internal/auth/... -run TestToken
go build -o /out/token-server ./cmd/token-server
cargo test --package secret-sharing
make -j4 password-tool
apt-get install -y passwd libpam-modules
apk add --no-cache openssl pass
yum install -y sshpass
dpkg -S /usr/bin/passwd
cat /etc/passwd
cat /etc/shadow
cat /root/.aws/credentials
cat /root/.docker/config.json
cat /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
ls -la /run/secrets
grep -r api_key= src
grep -E password|secret|token /app/.env
grep -c Authorization: access.log
sed -i s/password/xxx/g f
sed -i s/^#PasswordAuthentication yes/PasswordAuthentication no/ /etc/ssh/sshd_config
awk {print $2} tokens.txt
find / -perm -4000 -type f
find /home -name .netrc -o -name .pgpass
tail -f /var/log/auth.log
chown -R app:app /data
chmod 600 /etc/app/secret.key
cp /etc/passwd /tmp/p
stat -c %U:%G /etc/shadow
su - app -c id
su -s /bin/sh -c whoami nobody
sudo -u postgres psql
sudo -E -H -u app env
passwd -l root
passwd --status app
chage -l root
useradd -m -s /bin/bash app
usermod -s /sbin/nologin app
groupadd -g 1000 app
id -u app
getent shadow
htpasswd -D f u
htpasswd -v f u
ldapsearch -x -H ldap://h -b dc=x uid=u
ldapwhoami -x -D cn=a -W
smbclient -L h -N
mount -t cifs //h/s /m -o credentials=/etc/cred,vers=3.0
mount -t tmpfs -o size=64m,mode=0700 tmpfs /run/secrets
snmpwalk -v3 -u u h
nc -lvp 4444
nmap -p 22,80 -sV h
tcpdump -i any port 53 -w /tmp/a.pcap
socat TCP-LISTEN:80,fork TCP:h:80
tar -xzf a.tgz -C /opt --strip-components=1
unzip -o a.zip -d /opt
zip -r a.zip dir
7z l a.7z
nginx -c /etc/nginx/nginx.conf -t
haproxy -f /h.cfg -p /run/h.pid
envoy -c /e.yaml --service-cluster auth
traefik --api.insecure=false --log.level=INFO
prometheus --web.config.file=/w.yml --storage.tsdb.path=/p
grafana-server --homepath=/g --config=/g.ini
grafana cli plugins install x
alertmanager --config.file=/a.yml
fluentd -c /f.conf
filebeat -e -c /f.yml
keycloak start --db postgres --db-url-host db --https-port=8443
oauth2-proxy --provider=oidc --client-secret-file=/s --cookie-secret-file=/c --email-domain=*
dex serve /etc/dex/cfg/config.yaml
vault-k8s agent-inject -listen :8080
cert-manager-controller --cluster-resource-namespace=cert-manager --leader-election-namespace=kube-system
external-secrets --concurrent=1 --metrics-addr=:8080
sealed-secrets-controller --key-renew-period=720h
csi-secrets-store --endpoint=unix:///csi/csi.sock --enable-secret-rotation=true --rotation-poll-interval=2m
coredns -conf /etc/coredns/Corefile
etcd --cert-file=/c --key-file=/k --trusted-ca-file=/ca --auth-token=simple
etcdctl --endpoints=https://h:2379 --cert=/c --key=/k get / --prefix --keys-only
runc --root /run/runc init
pause
sleep infinity
sh -c while true; do date; sleep 1; done
sh -c exec nginx -g "daemon off;"
sh -c test -f /run/secrets/db && cat /run/secrets/db
sh -c echo "no password set" >&2
sh -c echo hello | tee /tmp/password-check.log
bash -c source /env.sh && exec ./run --token-file /t
bash -c if [ -z "$DB_PASSWORD" ]; then exit 1; fi
bash -c export TOKEN=$(cat /t); curl -H "Authorization: Bearer $TOKEN" https://h
bash -c PGPASSWORD=$DB_PASSWORD psql -h db
bash -c DB_PASS=\${DB_PASS:-} ./run
env HOME=/root PATH=/usr/bin:/bin LANG=C.UTF-8 app
env KEYBOARD=us KEYMAP=de loadkeys
env AUTHOR=me TOKENIZERS_PARALLELISM=false python a.py
env AWS_REGION=eu-west-1 AWS_PROFILE=prod aws s3 ls
env SSH_AUTH_SOCK=/tmp/ssh-x/agent.1 ssh h
env GNUPGHOME=/g GPG_KEY_ID=ABCD1234 gpg -s f
env NODE_ENV=production SESSION_TIMEOUT=3600 node a.js
env XAUTHORITY=/root/.Xauthority DISPLAY=:0 xterm
protoc --go_out=. auth.proto
expect -f login.exp
screen -S auth
tmux new -s token
vim /etc/pam.d/common-password
crontab -l
systemctl restart sshd
journalctl -u auth.service --since today
ps aux --sort=-rss
strace -p 1 -f
gdb -p 42
perl -e print 1
ruby -ropenssl -e puts 1
php artisan key:generate
php artisan passport:install
rails db:migrate
bundle exec rake secret:show
gunicorn -w 4 -k gevent app:app
celery -A app worker -Q auth,tokens -c 4
uwsgi --http :8000 --module app:app
caddy hash-password --help
xmrig --help
domain=AF_INET type=SOCK_STREAM protocol=TCP remoteip=10.0.0.1 port=443
syscall=SYS_PTRACE pid=42 request=PTRACE_ATTACH
lsm=SOCKET_CONNECT remoteip=10.96.0.1 port=443 protocol=TCP
/usr/lib/python3/dist-packages/keyring/backends/SecretService.py
/usr/share/doc/password-store/README
/proc/1/task/1/attr/keycreate
/sys/kernel/security/apparmor/profiles
s3://bucket/2024/01/auth-token-report.csv
registry.k8s.io/sig-storage/csi-secrets-store@sha256:6216f64ab88fc51d311e38c7f69ca3f9aaba621492b4f1fa93ddf63093768845
sha256sum -c SHA256SUMS
7b5f2e0c-6d1a-4b5e-9c3d-2f1e0d9c8b7a
/var/lib/kubelet/pods/7b5f2e0c-6d1a-4b5e-9c3d-2f1e0d9c8b7a/volumes/kubernetes.io~secret/db/password
`
  .split("\n")
  .filter((line) => line !== "");
