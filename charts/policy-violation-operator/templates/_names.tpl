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
