{{- /* The template of all pods. Takes the context, the component and the arguments of the probe. */ -}}
{{- define "probe.pod" -}}
{{- $ := .context -}}
{{- $values := $.Values -}}
{{- $component := .component -}}
{{- $is_service := eq $component "service" -}}
{{- $helpers := $values.credentialHelpers -}}
{{- /* An option that is given twice as an argument is an error, and an argument wins over its variable. */ -}}
{{- $own_args := .args -}}
{{- $own_env := include "probe.env" . -}}
{{- range $values.extraArgs -}}
{{- $flag := regexFind "^--[a-z0-9-]+" . -}}
{{- $variable := trimPrefix "--" $flag | replace "-" "_" | upper | printf "PROBE_%s" -}}
{{- if and $flag (or (regexMatch (printf "(?m)^- %s(=|$)" $flag) $own_args) (contains (printf "- name: %s\n" $variable) $own_env)) -}}
{{- fail (printf "extraArgs: the chart has %s already" $flag) -}}
{{- end -}}
{{- end -}}
{{- range $values.extraEnv -}}
{{- $flag := trimPrefix "PROBE_" .name | replace "_" "-" | lower | regexQuoteMeta -}}
{{- if or (contains (printf "- name: %s\n" .name) $own_env) (and (hasPrefix "PROBE_" .name) (regexMatch (printf "(?m)^- --%s(=|$)" $flag) $own_args)) -}}
{{- fail (printf "extraEnv: the chart has %s already" .name) -}}
{{- end -}}
{{- end -}}
metadata:
  labels:
    {{- $labels := mergeOverwrite (include "probe.selector" $ | fromYaml) (dict "app.kubernetes.io/component" .component) }}
    {{- toYaml (mergeOverwrite $labels ($values.commonLabels | default dict) ($values.podLabels | default dict)) | nindent 4 }}
  {{- with mergeOverwrite (include "probe.annotations" . | fromYaml) ($values.podAnnotations | default dict) }}
  annotations:
    {{- if $is_service }}
    # Those of prometheus.io are for a Prometheus that finds its targets by annotations.
    {{- end }}
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "probe.serviceAccount" $ | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- if not $is_service }}
  restartPolicy: Never
  {{- end }}
  {{- with $values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml $values.podSecurityContext | nindent 4 }}
  {{- if $helpers.image }}
  initContainers:
    - name: credential-helpers
      image: {{ $helpers.image | quote }}
      command: [sh, -c, "cp {{ $helpers.path }}/docker-credential-* /credential-helpers/"]
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- include "probe.securityContext" . | nindent 8 }}
      volumeMounts:
        - name: credential-helpers
          mountPath: /credential-helpers
  {{- end }}
  containers:
    - name: probe
      image: {{ include "probe.image" $ | quote }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args:
        {{- $own_args | nindent 8 }}
        {{- /* They are for sweeps, and doctor takes few of them. */}}
        {{- if and $values.extraArgs (ne $component "test") }}
        {{- toYaml $values.extraArgs | nindent 8 }}
        {{- end }}
      {{- with $values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      env:
        {{- $own_env | nindent 8 }}
        {{- with $values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- if not $is_service }}
        # Not PROBE_ALLOW_EMPTY. A run without state remembers nothing, so an empty registry is unverified (exit code
        # 3, and the Job fails): that is also what a lost volume looks like. A brand-new registry is so until the first
        # push. Suspend the CronJob until then, or set allow-empty in probe.yaml and take it out again.
        {{- else }}
        # What pods run, asked of the Prometheus that scrapes kube-state-metrics: that needs no role in the cluster.
        # - name: PROBE_IN_USE
        #   value: prometheus=http://prometheus.monitoring:9090
        # Not PROBE_ALLOW_EMPTY. A service takes a registry that was always empty for what it is. Once it has had
        # images, an empty one is unverified, since that is also what a lost volume looks like; with a state on a
        # volume of its own the probe knows that after a restart, too.
        {{- end }}
      {{- if $is_service }}
      ports:
        - name: metrics
          containerPort: 9464
      livenessProbe:
        httpGet:
          path: /healthz
          port: metrics
          scheme: {{ include "probe.scheme" $ | upper }}
        periodSeconds: 30
        timeoutSeconds: 5
      readinessProbe:
        httpGet:
          path: /readyz
          port: metrics
          scheme: {{ include "probe.scheme" $ | upper }}
        periodSeconds: 10
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- include "probe.securityContext" . | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/registry-probe/config
          readOnly: true
        {{- if or $values.login.existingSecret $helpers.registries }}
        - name: auth
          mountPath: /etc/registry-probe/auth
          readOnly: true
        {{- end }}
        {{- if $helpers.image }}
        - name: credential-helpers
          mountPath: /credential-helpers
          readOnly: true
        {{- end }}
        {{- if $values.ca.existingConfigMap }}
        - name: authorities
          mountPath: /etc/registry-probe/authorities
          readOnly: true
        {{- end }}
        {{- if and $is_service $values.webConfig.existingSecret }}
        - name: web
          mountPath: /etc/registry-probe/web
          readOnly: true
        {{- end }}
        {{- if and $values.state.enabled (ne .component "test") }}
        - name: state
          mountPath: /var/lib/registry-probe
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      {{- if $values.existingConfigSecret }}
      secret:
        secretName: {{ $values.existingConfigSecret | quote }}
      {{- else }}
      configMap:
        name: {{ include "probe.configMap" $ | quote }}
      {{- end }}
    {{- if $values.login.existingSecret }}
    # A pull secret as kubelets use it (type kubernetes.io/dockerconfigjson). Without it the probe asks as nobody.
    - name: auth
      secret:
        secretName: {{ $values.login.existingSecret | quote }}
        optional: true
        items:
          - key: .dockerconfigjson
            path: config.json
    {{- else if $helpers.registries }}
    - name: auth
      configMap:
        name: {{ include "probe.fullname" $ }}-helpers
    {{- end }}
    {{- if $helpers.image }}
    - name: credential-helpers
      emptyDir:
        sizeLimit: 256Mi
    {{- end }}
    {{- if $values.ca.existingConfigMap }}
    # The pod waits until it is there.
    - name: authorities
      configMap:
        name: {{ $values.ca.existingConfigMap | quote }}
    {{- end }}
    {{- if and $is_service $values.webConfig.existingSecret }}
    - name: web
      secret:
        secretName: {{ $values.webConfig.existingSecret | quote }}
    {{- end }}
    {{- if and $values.state.enabled (ne .component "test") }}
    - name: state
      persistentVolumeClaim:
        claimName: {{ $values.state.existingClaim | default (printf "%s-state" (include "probe.fullname" $)) | quote }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
{{- end -}}

{{- define "probe.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* What the annotations of a pod are, but for podAnnotations. */ -}}
{{- define "probe.annotations" -}}
{{- $ := .context -}}
{{- if include "probe.hasOwnConfig" $ }}
checksum/config: {{ toYaml $.Values.config | sha256sum }}
{{- end }}
{{- if eq .component "service" }}
prometheus.io/scrape: "true"
prometheus.io/port: "9464"
{{- if eq (include "probe.scheme" $) "https" }}
prometheus.io/scheme: https
{{- end }}
{{- end }}
{{- end -}}

{{- /* The variables of the probe, but for extraEnv. */ -}}
{{- define "probe.env" -}}
{{- $ := .context -}}
{{- $values := $.Values -}}
{{- $is_service := eq .component "service" -}}
{{- $helpers := $values.credentialHelpers -}}
# Registries, and every option that has no variable here.
- name: PROBE_CONFIG
  value: /etc/registry-probe/config/probe.yaml
{{- if $is_service }}
# Kubelet and Prometheus ask from elsewhere.
- name: PROBE_LISTEN
  value: ":9464"
{{- with include "probe.externalUrl" $ }}
- name: PROBE_EXTERNAL_URL
  value: {{ . | quote }}
{{- end }}
{{- if $values.webConfig.existingSecret }}
- name: PROBE_WEB_CONFIG
  value: /etc/registry-probe/web/web.yml
{{- end }}
{{- else if ne .component "test" }}
{{- with $values.pushGateway }}
- name: PROBE_PUSH_GATEWAY
  value: {{ . | quote }}
{{- end }}
{{- if eq .component "shard" }}
# Kubernetes gives each run of the CronJob a name of its own.
- name: PROBE_RUN_ID
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['batch.kubernetes.io/job-name']
{{- end }}
{{- end }}
{{- if or $values.login.existingSecret $helpers.registries }}
- name: DOCKER_CONFIG
  value: /etc/registry-probe/auth
{{- end }}
{{- if $helpers.image }}
- name: PATH
  value: /credential-helpers
{{- end }}
{{- if $values.ca.existingConfigMap }}
- name: PROBE_CA_FILE
  value: /etc/registry-probe/authorities/{{ $values.ca.key }}
{{- end }}
{{- with $values.proxy.http }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with $values.proxy.https }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with $values.proxy.noProxy }}
- name: NO_PROXY
  value: {{ . | quote }}
{{- end }}
{{- end -}}
