// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// More command lines without a secret.

export const ORDINARY_LINES: readonly string[] = `
kube-proxy --config=/var/lib/kube-proxy/config.conf --hostname-override=n1
kubectl get sa,secret -n x
kubectl certificate approve csr-abc12
kubectl create secret generic x --from-env-file=.env
kubectl -n auth scale deploy/token-service --replicas=2
kubeadm init --upload-certs --token-ttl 0
kubeadm join h:6443 --config=/x
docker run --rm -it -v ~/.aws:/root/.aws:ro amazon/aws-cli s3 ls
docker run -p 127.0.0.1:5432:5432 postgres:16
docker tag a:1 registry.example.com/a:1
docker-entrypoint.sh postgres -c max_connections=100 -c password_encryption=scram-sha-256
mysqld --default-authentication-plugin=mysql_native_password --skip-name-resolve
mysqld_safe --skip-grant-tables
mysql -u root -h 127.0.0.1 -P 3306 -D shop -e "SELECT user, host FROM mysql.user"
postgres -D /data -c ssl_key_file=/k -c password_encryption=md5
psql -U app -W -d x
psql -v ON_ERROR_STOP=1 --username postgres --dbname x
redis-server --protected-mode no --save 60 1
redis-cli -p 6379 config get requirepass
redis-cli --user app --askpass ping
mongod --bind_ip_all --keyFile /etc/k --auth
java -Dcom.sun.management.jmxremote.authenticate=false -Dcom.sun.management.jmxremote.password.file=/x -jar a.jar
java -Djava.security.auth.login.config=/jaas.conf kafka.Kafka /c
kafka-acls.sh --authorizer-properties zookeeper.connect=h:2181 --list
zookeeper-server-start.sh /c
node --require dd-trace/init index.js
node ./node_modules/.bin/jest auth.token.spec.ts
npx prisma migrate deploy
npm run generate:token-types
npm audit --json
yarn workspace auth build
python -m pytest tests/test_password.py -k token
python3 -m pip install passlib secretstorage
python3 /usr/bin/supervisord -c /etc/supervisord.conf
python -m vllm.entrypoints.openai.api_server --max-model-len 8192 --tokenizer-mode auto --served-model-name x
flask run --host=0.0.0.0 --port=5000 --cert=adhoc
uvicorn app.auth:app --host 0.0.0.0 --workers 2
celery -A auth.tasks beat
bundle exec rails s -e production
ruby /app/bin/secret_scanner --format json
go run ./cmd/tokenizer -in a.txt
./bin/auth-server --listen :8443 --jwks-url https://h/.well-known/jwks.json
./server --session-timeout=30m --cookie-name=sid --csrf-header=X-CSRF-Token
./app --secret-name=db --secret-namespace=prod
./app --token-review-qps 50 --authentication-skip-lookup
./app --key-prefix=cache: --partition-key=user_id
./app --primary-key id --sort-key created
./app --api-key-header X-Api-Key
git log --oneline -S password -- src
git commit -m "Rotate API keys and tokens"
git rebase --exec "make test" main
git show HEAD:src/auth/token.ts
git diff --stat origin/main...fix/pass-through
gitleaks detect --source . --redact
trufflehog filesystem /src
ssh -o StrictHostKeyChecking=no -o PasswordAuthentication=no u@h
ssh -i /tmp/key -N -L 8080:localhost:80 u@h
ssh-keyscan -t rsa github.com
sshd -D -e -o PermitRootLogin=no
curl -sfL https://get.k3s.io
curl -fsS -X POST -H "Content-Type: application/json" -d {"query":"password"} http://h/search
curl -k --resolve h:443:10.0.0.1 https://h/oauth2/token
curl -u admin http://h
curl --connect-timeout 5 --max-time 10 http://169.254.169.254/latest/meta-data/iam/security-credentials/
curl -H X-aws-ec2-metadata-token-ttl-seconds: 21600 -X PUT http://169.254.169.254/latest/api/token
wget -qO- http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token
openssl s_client -connect h:443 -CAfile /ca.pem -key /k.pem
openssl ec -in k.pem -pubout -out p.pem
openssl pkcs12 -in a.p12 -nodes -passin file:/pw
gpg --homedir /g --list-keys --with-colons
vault kv list secret/
vault auth list
vault read -field=password secret/db
aws eks get-token --cluster-name c
aws s3 sync . s3://b --exclude *.key
aws iam get-access-key-last-used --access-key-id $KEY
az keyvault secret show --vault-name v --name db-password
gcloud auth application-default print-access-token
gcloud secrets add-iam-policy-binding x --member=y --role=z
terraform output -raw db_password
ansible-vault view secrets.yml
sops -d secrets.enc.yaml
kubeseal --format yaml --controller-name x
helm secrets upgrade x ./c -f secrets.yaml
passwd -S root
chpasswd --help
su - postgres
sudo -u deploy -i
sudo -k
useradd -r -u 999 -g app app
login -p -h h -f root
pam_unix(sshd:auth): authentication failure; user=root
grep -i "password" /var/log/auth.log
sed -e s/TOKEN/x/ f
find /etc -name "*secret*" -newer /x
cat /proc/1/environ
ls /var/run/secrets/eks.amazonaws.com/serviceaccount/token
strings /usr/bin/passwd
tar xf keys.tar
mv /tmp/session-abc /tmp/x
touch /tmp/.pwd.lock
dd if=/dev/zero of=/swap bs=1M count=10
/usr/bin/dumb-init -- /app/run
/opt/bitnami/scripts/postgresql/entrypoint.sh /opt/bitnami/scripts/postgresql/run.sh
runsvdir -P /etc/service
s6-svscan -t0 /run/service
supervisorctl -c /c status auth:*
filebeat test output -E output.console.pretty=true
otelcol --config=env:OTEL_CONFIG
promtool check config /p.yml
thanos query --grpc-client-tls-key=/k --store=dnssrv+_grpc._tcp.x
nginx: worker process
php-fpm: pool www
postgres: app shop 10.0.0.1(4242) idle
sshd: root@pts/0
`
  .split("\n")
  .filter((line) => line !== "");
