// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Command lines without a secret, many with words that secrets have.

export const ORDINARY_LINES: readonly string[] = `
kube-apiserver --advertise-address=10.0.0.1 --authorization-mode=Node,RBAC --enable-bootstrap-token-auth=true --service-account-signing-key-file=/etc/kubernetes/pki/sa.key --tls-private-key-file=/x.key
kubelet --authentication-token-webhook=true --authorization-mode=Webhook
oauth2-proxy --cookie-secure=true --cookie-domain=.x --pass-access-token=true --set-authorization-header=true --pass-host-header=true --cookie-expire=168h
openssl req -new -key server.key -out server.csr
openssl pkcs8 -topk8 -keyform PEM -in k
openssl s_server -key k.pem -cert c.pem
vllm serve m --max-num-batched-tokens 8192 --max-tokens 512
python train.py --num-tokens=1000000 --vocab-token-count 5
ansible-playbook --private-key /home/u/.ssh/id_rsa site.yml
grep -rn password: /etc/app
grep -i token= access.log
awk -F: {print $1} /etc/passwd
getent passwd root
docker run -u appuser:appgroup img
rsync -avz -u host:dir /b
curl --cookie-jar c.txt https://h
git config credential.helper store
git config --get-all credential.helper
git push -u origin main
git commit -m auth: rotate the signing key
git tag -s v1 -u release
kubectl get secret db -o yaml
kubectl -n kube-system get secret token-abc -o jsonpath={.data.token}
kubectl create token sa --duration 1h
kubectl create secret tls x --cert=a --key=b
kubeadm token create --print-join-command
vault server -config=/vault/config
vault policy write x f.hcl
vault auth enable kubernetes
aws sts get-session-token --duration-seconds 3600
aws kms encrypt --key-id alias/x
aws s3 cp s3://b/secret-file .
gcloud auth print-access-token
gcloud auth configure-docker
az keyvault secret show --name n --vault-name v
az group create -l westeurope -n g
ssh -o PubkeyAuthentication=yes -o PreferredAuthentications=publickey u@h
ssh-copy-id -i k.pub u@h
scp -P 22 a u@h:/b
mysql --protocol=tcp --port=3306 -e SELECT 1
mysqld --pid-file=/run/m.pid --port=3306
psql -U postgres -c ALTER TABLE users DROP COLUMN password
mongod --port 27017 --auth --keyFile /k
redis-server --port 6379 --appendonly yes
node -r dotenv/config dist/main.js
java -cp /a:/b:/c com.x.Main
nginx -g daemon off;
find / -name *.pem -o -name id_rsa
cat /var/run/secrets/kubernetes.io/serviceaccount/token
tar -czf b.tgz /etc/passwd /etc/shadow
usermod -aG docker u
chpasswd -e
sudo -u app -g app env A=b run
date -u -d 2024-01-01T00:00:00
wget -q -O- http://h:8080/token/refresh
curl -u $USER https://h
curl -H Content-Type: application/json https://h:8443/a
curl https://h/?page=1&per_page=100
npm config get registry
npm run build -- --configuration production
pip install secretstorage keyring
apt-get install libpam-pwquality
helm install vault hashicorp/vault --set server.dev.enabled=true
helm upgrade x --set serviceAccount.automountServiceAccountToken=false
terraform plan -var-file=secrets.tfvars
consul agent -server -bootstrap-expect=3
etcd --client-cert-auth=true --peer-key-file=/x
sonar-scanner -Dsonar.projectKey=my_project -Dsonar.sources=.
promtail -config.file=/x -client.external-labels=key=value
python manage.py migrate --fake accounts 0001
bash -c export PASSWORD=$(cat /run/secret); exec app
sh -c echo done | tee $LAB
sh -c read -s -p "Password: " pw
xxd -p f
7z x -pdf a.7z
tar --exclude=token -cf a.tar d
gpg --verify a.sig a
age -d -i key.txt f
jq -r .data.password f.json
envsubst $TOKEN < a > b
tokei src
dotnet user-secrets list
mount -t nfs -o sec=krb5 h:/a /b
hydra -h
modprobe -r pcspkr
gunicorn app:app -b 0.0.0.0:8000 -k uvicorn.workers.UvicornWorker
traefik --providers.docker --entrypoints.web.address=:80 --certificatesresolvers.x.acme.email=a@b
keycloak start --proxy edge --hostname-strict=false
rspamd -u _rspamd:_rspamd
containerd-shim-runc-v2 -namespace k8s.io -id abc -address /run/containerd/containerd.sock
certbot certonly --authenticator dns-x
compass compile
`
  .split("\n")
  .filter((line) => line !== "");
