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

{{/* Account of what reads the nodes: with several processes one of its own, which has no right to reports. */}}
{{- define "pvo.readerAccountName" -}}
{{- include "pvo.serviceAccountName" . -}}
{{- if and .Values.scale.enabled .Values.serviceAccount.create -}}-reader{{- end -}}
{{- end -}}

{{/* Selects this release's pods; never changes during the release's life. `suffix`: those of the readers. */}}
{{- define "pvo.selectorLabels" -}}
app.kubernetes.io/name: {{ printf "%s%s" (include "pvo.name" .) (default "" .suffix) | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
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

{{/* A duration of the configuration in milliseconds: a number, or text such as "1h30m". */}}
{{- define "pvo.milliseconds" -}}
{{- if kindIs "string" . -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 -}}
{{- $ms := 0 -}}
{{- range regexFindAll "[0-9.]+[a-z]+" . -1 -}}
{{- $ms = addf $ms (mulf (regexFind "[0-9.]+" . | float64) (index $units (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{- int64 $ms -}}
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end -}}

{{/* A size of the configuration in bytes: a number, or text such as "256Mi". */}}
{{- define "pvo.bytes" -}}
{{- if kindIs "string" . -}}
{{- $units := dict "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- int64 (mulf (regexFind "[0-9.]+" . | float64) (index $units (regexFind "[A-Za-z]+" .))) -}}
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end -}}

{{/* Time for the operator to write what is pending, and 10 s more to close. */}}
{{- define "pvo.gracePeriodSeconds" -}}
{{- $graceMs := include "pvo.milliseconds" (dig "shutdown" "graceMs" 20000 .Values.config) -}}
{{- add 10 (divf ($graceMs | float64) 1000 | ceil | int) -}}
{{- end -}}

{{/* Name of the Lease, which is also the operator's heartbeat. */}}
{{- define "pvo.leaseName" -}}
{{- dig "leaderElection" "leaseName" "policy-violation-operator" .Values.config -}}
{{- end -}}

{{/* "true" where the operator copies reports to OpenReports. */}}
{{- define "pvo.openReports" -}}
{{- if ne (toString (dig "openReports" "enabled" "auto" .Values.config)) "false" -}}true{{- end -}}
{{- end -}}

{{/* "true" where an API is wanted: (dict "root" $ "enabled" VALUE "api" "GROUP/VERSION/KIND"). auto: where it is served. */}}
{{- define "pvo.wanted" -}}
{{- if eq (toString .enabled) "auto" -}}
{{- if .root.Capabilities.APIVersions.Has .api -}}true{{- end -}}
{{- else if .enabled -}}true{{- end -}}
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
{{- include "pvo.wanted" (dict "root" .root "enabled" .enabled "api" (printf "monitoring.coreos.com/v1/%s" .kind)) -}}
{{- end -}}

{{/* Selects all pods that run the program: with scale also the readers. */}}
{{- define "pvo.allPods" -}}
{{- if .Values.scale.enabled -}}
matchExpressions:
  - key: app.kubernetes.io/name
    operator: In
    values: [{{ include "pvo.name" . | quote }}, {{ include "pvo.name" . }}-reader]
  - key: app.kubernetes.io/instance
    operator: In
    values: [{{ .Release.Name | quote }}]
{{- else -}}
matchLabels:
  {{- include "pvo.selectorLabels" . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* "true" where a journal is kept: with scale the stream is the journal. */}}
{{- define "pvo.journal" -}}
{{- if and .Values.journal.enabled (not .Values.scale.enabled) -}}true{{- end -}}
{{- end -}}

{{/* "true" where KubeArmor's pods are followed and read. */}}
{{- define "pvo.readsNodes" -}}
{{- if or .Values.scale.enabled (ne (include "pvo.feedMode" .) "relay") -}}true{{- end -}}
{{- end -}}

{{/* The configuration file: what the user gave, and where the journal's volume is. */}}
{{- define "pvo.config" -}}
{{- $own := dict -}}
{{- if .Values.scale.enabled -}}
{{- $secretPath := ternary "/var/run/secrets/policy-violation-operator/nats" "" (ne .Values.scale.secretName "") -}}
{{- $own = dict "scale" (dict "enabled" true "nats" (dict "secretPath" $secretPath)) -}}
{{- else if .Values.journal.enabled -}}
{{- $own = dict "journal" (dict "path" "/var/lib/policy-violation-operator/journal.db") -}}
{{- end -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) -}}
{{- end -}}
