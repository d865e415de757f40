{{/* A Deployment of the program: (merge (dict "count" REPLICAS "suffix" SUFFIX "command" COMMAND) .); run without a command. */}}
{{- define "pvo.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ printf "%s%s" (include "pvo.fullname" .) (default "" .suffix) | quote }}
  namespace: {{ .Release.Namespace | quote }}
  labels:
    {{- include "pvo.labels" . | nindent 4 }}
  {{- with .Values.deploymentAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  replicas: {{ .count }}
  revisionHistoryLimit: {{ .Values.revisionHistoryLimit }}
  strategy:
    {{- if .Values.scale.enabled }}
    # Every part of the work is given up in order before another replica takes it.
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
    {{- else if and (dig "leaderElection" "enabled" true .Values.config) (not (hasKey .Values.journal.volume "persistentVolumeClaim")) }}
    # The new pod reads as a standby before an old one writes what it holds and hands over.
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
    {{- else }}
    # The old pod writes what it holds, and lets go of its journal, before the new one reads the reports.
    type: Recreate
    {{- end }}
  selector:
    matchLabels:
      {{- include "pvo.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "pvo.labels" . | nindent 8 }}
        {{- with .Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: operator
        checksum/config: {{ include "pvo.config" . | sha256sum }}
        {{- with .Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include (ternary "pvo.readerAccountName" "pvo.serviceAccountName" (eq (default "" .suffix) "-reader")) . | quote }}
      # The token comes by the volume below, where its life is set.
      automountServiceAccountToken: false
      # Variables named after Services would be taken for settings where a Service's name begins with "pvo".
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ include "pvo.gracePeriodSeconds" . }}
      {{- with .Values.podSecurityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . | quote }}
      {{- end }}
      {{- with .Values.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      {{- with .Values.dnsPolicy }}
      dnsPolicy: {{ . }}
      {{- end }}
      {{- with .Values.dnsConfig }}
      dnsConfig:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.hostAliases }}
      hostAliases:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.extraInitContainers }}
      initContainers:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: operator
          image: {{ include "pvo.image" . }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          args:
            - {{ default "run" .command }}
            - --config
            - /etc/policy-violation-operator/config.yaml
            {{- with .Values.extraArgs }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          env:
            - name: POD_NAME
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            - name: POD_NAMESPACE
              valueFrom:
                fieldRef:
                  fieldPath: metadata.namespace
            {{- with .Values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- with .Values.extraEnvFrom }}
          envFrom:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            - name: metrics
              containerPort: 8080
            - name: health
              containerPort: 8081
          # Alive: its loop turns. Ready: reports listed, stream open or being retried.
          # On a starved node the program may take a minute to start.
          startupProbe:
            httpGet:
              path: /healthz
              port: health
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 60
          livenessProbe:
            httpGet:
              path: /healthz
              port: health
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet:
              path: /readyz
              port: health
            periodSeconds: 5
            timeoutSeconds: 5
          {{- with .Values.securityContext }}
          securityContext:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with .Values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            - name: config
              mountPath: /etc/policy-violation-operator
              readOnly: true
            - name: token
              mountPath: /var/run/secrets/kubernetes.io/serviceaccount
              readOnly: true
            {{- if and .Values.scale.enabled .Values.scale.secretName }}
            - name: nats
              mountPath: /var/run/secrets/policy-violation-operator/nats
              readOnly: true
            {{- end }}
            {{- if include "pvo.journal" . }}
            - name: journal
              mountPath: /var/lib/policy-violation-operator
            {{- end }}
            {{- with .Values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
        {{- with .Values.extraContainers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      volumes:
        - name: config
          configMap:
            name: {{ include "pvo.fullname" . | quote }}
        - name: token
          projected:
            sources:
              - serviceAccountToken:
                  path: token
                  expirationSeconds: {{ .Values.serviceAccount.tokenExpirationSeconds }}
              - configMap:
                  name: kube-root-ca.crt
                  items:
                    - {key: ca.crt, path: ca.crt}
              - downwardAPI:
                  items:
                    - path: namespace
                      fieldRef:
                        fieldPath: metadata.namespace
        {{- if and .Values.scale.enabled .Values.scale.secretName }}
        - name: nats
          secret:
            secretName: {{ .Values.scale.secretName | quote }}
        {{- end }}
        {{- if include "pvo.journal" . }}
        - name: journal
          {{- if .Values.journal.volume }}
          {{- toYaml .Values.journal.volume | nindent 10 }}
          {{- else }}
          emptyDir:
            # Twice what the journal may hold, as it needs.
            sizeLimit: {{ mul 2 (include "pvo.bytes" (dig "journal" "maxBytes" 268435456 .Values.config) | int64) | quote }}
          {{- end }}
        {{- end }}
        {{- with .Values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- include "pvo.affinity" . | nindent 6 }}
      {{- with .Values.topologySpreadConstraints }}
      topologySpreadConstraints:
        {{- range . }}
        - {{- merge (dict) . (dict "labelSelector" (dict "matchLabels" (include "pvo.selectorLabels" $ | fromYaml))) | toYaml | nindent 10 }}
        {{- end }}
      {{- end }}
{{- end -}}

{{- define "pvo.affinity" -}}
{{- if .Values.affinity -}}
affinity:
  {{- toYaml .Values.affinity | nindent 2 }}
{{- else if ne .Values.antiAffinity "none" -}}
affinity:
  podAntiAffinity:
    {{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "pvo.selectorLabels" . | fromYaml)) }}
    {{- if eq .Values.antiAffinity "required" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - {{- toYaml $term | nindent 8 }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          {{- toYaml $term | nindent 10 }}
    {{- end }}
{{- end -}}
{{- end -}}
