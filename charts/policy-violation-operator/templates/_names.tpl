{{/* The chart's name; at most 63 characters, as a label's value may have. */}}
{{- define "pvo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of all objects: "<release>-<chart>", or the release's alone where it holds the chart's. */}}
{{- define "pvo.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "pvo.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Cluster-scoped objects of two releases of one name in two namespaces must not meet. */}}
{{- define "pvo.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "pvo.fullname" .) -}}
{{- end -}}

{{- define "pvo.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "pvo.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What tells this release's pods from all others; never changes during the release's life. */}}
{{- define "pvo.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pvo.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pvo.labels" -}}
{{ include "pvo.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: kubearmor
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "pvo.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The operator's time to write what is unwritten, and 10 s more to close. */}}
{{- define "pvo.gracePeriodSeconds" -}}
{{- $graceMs := dig "shutdown" "graceMs" 20000 .Values.config -}}
{{- add 10 (divf $graceMs 1000 | ceil | int) -}}
{{- end -}}

{{- define "pvo.relayAddress" -}}
{{- dig "feed" "relay" "address" "kubearmor.kubearmor.svc:32767" .Values.config -}}
{{- end -}}

{{/* The relay's address taken apart: {host, port, and for a Service's name: service, namespace}. */}}
{{- define "pvo.relay" -}}
{{- $address := include "pvo.relayAddress" . -}}
{{- $port := regexFind "[0-9]+$" $address -}}
{{- $host := $address | trimSuffix (printf ":%s" $port) | trimPrefix "[" | trimSuffix "]" -}}
{{- $parts := dict "host" $host "port" ($port | int) -}}
{{- if regexMatch "^[a-z0-9-]*[a-z][a-z0-9-]*\\.[a-z0-9-]+(\\.svc(\\..+)?)?$" $host -}}
{{- $names := splitList "." $host -}}
{{- $_ := set $parts "service" (index $names 0) -}}
{{- $_ := set $parts "namespace" (index $names 1) -}}
{{- else if regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $host -}}
{{- $_ := set $parts "service" $host -}}
{{- $_ := set $parts "namespace" .Release.Namespace -}}
{{- end -}}
{{- toJson $parts -}}
{{- end -}}

{{/* "true" where an object of the Prometheus Operator is wanted: (dict "root" $ "enabled" VALUE "kind" KIND). */}}
{{- define "pvo.monitoring" -}}
{{- if eq (toString .enabled) "auto" -}}
{{- if .root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind) -}}true{{- end -}}
{{- else if .enabled -}}true{{- end -}}
{{- end -}}

{{/* The configuration file: what the user gave, and where the journal's volume is. */}}
{{- define "pvo.config" -}}
{{- $own := dict -}}
{{- if .Values.journal.enabled -}}
{{- $own = dict "journal" (dict "path" "/var/lib/policy-violation-operator/journal.db") -}}
{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) -}}
{{- end -}}

{{/* What cannot work is refused before anything is made. */}}
{{- define "pvo.check" -}}
{{- $elects := dig "leaderElection" "enabled" true .Values.config -}}
{{- if and (gt (int .Values.replicas) 1) (not $elects) -}}
{{- fail "replicas must be 1 when config.leaderElection.enabled is false: two that write would count twice" -}}
{{- end -}}
{{- if and (gt (int .Values.replicas) 1) (hasKey .Values.journal.volume "persistentVolumeClaim") -}}
{{- fail "replicas must be 1 when journal.volume is a persistentVolumeClaim: a journal belongs to one replica" -}}
{{- end -}}
{{- end -}}
