//! What documents name, by every shape that people have, and what they name not.

use super::*;
use crate::report::Named;

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn named(text: &[u8]) -> Result<NamedImages, String> {
    let mut named = NamedImages::default();
    match read(text, "it.yaml", &mut named) {
        Ok(()) => Ok(named),
        Err(why) => Err(format!("{}: {}", why.line, why.why)),
    }
}

/// Each name with where it stands: images as they are, and else behind what they are.
fn said(named: &NamedImages) -> Vec<String> {
    let unasked = &named.unasked;
    let lists: [(&str, &[Named]); 4] = [
        ("", &named.images),
        ("unresolved ", &unasked.unresolved),
        ("not taken ", &unasked.not_taken),
        ("built ", &unasked.built),
    ];
    let all = lists.iter().flat_map(|(what, list)| {
        list.iter().flat_map(move |it| {
            let origins = it.origins.iter();
            origins.map(move |origin| format!("{what}{} < {origin}", it.written))
        })
    });
    all.collect()
}

fn assert_said(text: &str, expected: &[&str]) {
    let found = named(text.as_bytes()).unwrap_or_else(|why| panic!("{why}: {text}"));
    assert_eq!(said(&found), expected, "{text}");
}

fn assert_refused(text: &[u8], expected: &str) {
    let why = named(text).err().unwrap_or_default();
    let shown = String::from_utf8_lossy(&text[..text.len().min(200)]);
    assert!(why.contains(expected), "{why}: {shown}");
}

#[test]
fn pods_are_known_by_their_shape_wherever_they_are() {
    let pod = "containers: [{name: a, image: app:1}]";
    for (kind, spec) in [
        ("Pod", format!("spec: {{{pod}}}")),
        (
            "Deployment",
            format!("spec: {{template: {{spec: {{{pod}}}}}}}"),
        ),
        (
            "CronJob",
            format!("spec: {{jobTemplate: {{spec: {{template: {{spec: {{{pod}}}}}}}}}}}"),
        ),
        ("PodTemplate", format!("template: {{spec: {{{pod}}}}}")),
        (
            "Rollout",
            format!("spec: {{template: {{spec: {{{pod}}}}}}}"),
        ),
        (
            "Service",
            format!("spec: {{template: {{spec: {{{pod}, timeoutSeconds: 300}}}}}}"),
        ),
    ] {
        let text =
            format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: x, namespace: n}}\n{spec}\n");
        assert_said(&text, &[&format!("app:1 < {kind} n/x, container a")]);
    }
}

#[test]
fn every_kind_of_container_and_volumes_are_images() {
    let text = "
apiVersion: v1
kind: Pod
metadata: {generateName: job-}
spec:
  initContainers:
  - {name: init, image: app:1}
  containers:
  - name: main
    image: app:1
    imagePullPolicy: Always
    env:
    - {name: RELATED_IMAGE_PROXY, value: r.example/proxy:1}
    - {name: HOME, value: r.example/home:1}
  - name: patched by somebody else
  - {ports: []}
  - {name: forgotten, image: ''}
  - {name: forgotten too, image: }
  ephemeralContainers:
  - {name: debug, image: 'busybox'}
  volumes:
  - {name: models, image: {reference: 'r.example/models:1', pullPolicy: Always}}
  - {name: data, emptyDir: {}}
status:
  containerStatuses: [{image: r.example/as-it-runs:1, imageID: x}]
";
    assert_said(
        text,
        &[
            "app:1 < Pod job-, container init",
            "app:1 < Pod job-, container main",
            "r.example/proxy:1 < Pod job-, container main, env[0].RELATED_IMAGE_PROXY",
            "busybox < Pod job-, container debug",
            "r.example/models:1 < Pod job-, volume models",
            "unresolved  < Pod job-, container forgotten",
            "unresolved  < Pod job-, container forgotten too",
        ],
    );
}

#[test]
fn lists_of_a_cluster_are_read_object_by_object() {
    let item = |name: &str| {
        format!(
            r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"{name}","annotations":
            {{"kubectl.kubernetes.io/last-applied-configuration":"{{\"image\":\"r.example/old:1\"}}"}}}},
            "spec":{{"template":{{"spec":{{"containers":[{{"name":"c","image":"{name}:1"}}]}}}}}}}}"#
        )
    };
    let (a, b) = (item("a"), item("b"));
    let expected = [
        "a:1 < Deployment a, container c",
        "b:1 < Deployment b, container c",
    ];
    for text in [
        format!(r#"{{"apiVersion":"v1","items":[{a},{b}],"kind":"List","metadata":{{}}}}"#),
        format!("[{a},\n{b}]"),
        format!("{a}\n{b}\n"),
        format!("\u{feff}{a}{b}"),
        format!("---\n{a}\n---\n{b}\n"),
        format!("apiVersion: v1\nitems:\n- {a}\n- {b}\nkind: List\n"),
        format!(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items: [{a}, {b}]\n"
        ),
    ] {
        assert_said(&text, &expected);
    }
    // As the API itself gives it: what the objects are the list says.
    let bare = r#"{"kind":"PodList","apiVersion":"v1","items":[
        {"metadata":{"name":"p","namespace":"n"},"spec":{"containers":[{"name":"c","image":"a:1"}]}}]}"#;
    assert_said(bare, &["a:1 < Pod n/p, container c"]);
    assert_said(r#"{"kind":"List","apiVersion":"v1","items":null}"#, &[]);
    assert_said("[]", &[]);
    let schema = r#"{"type":"array","items":{"image":"r.example/a:1"}}"#;
    assert_said(schema, &["r.example/a:1 < it.yaml, items.image"]);
    assert_said(
        r#"{"items":3}{"items":"a"}{"items":-1.5}{"items":true}"#,
        &[],
    );
    let windows = format!("---\n{a}\n").replace('\n', "\r\n");
    assert_said(&windows, &expected[..1]);
}

#[test]
fn services_of_compose_files_are_images_unless_they_are_built() {
    let text = "
name: shop
x-base: &base
  image: app:${TAG:-1}
  restart: always
services:
  web:
    <<: *base
  worker: {<<: [*base], image: worker:1}
  db:
    image: postgres:16
    volumes:
    - {type: image, source: seed:1, target: /seed}
    - data:/var
  tool: {build: .}
  site: {build: {context: .}, image: r.example/site:1}
  blank: {image: }
  runner: {image: runner:1, environment: {WORKER_IMAGE: r.example/w:1, MODE: fast}}
  lister: {image: lister:1, environment: [TOOL_IMAGE=r.example/t:2, HOME=r.example/h:1]}
volumes: {data: }
";
    assert_said(
        text,
        &[
            "worker:1 < service worker",
            "postgres:16 < service db",
            "seed:1 < service db, volume",
            "runner:1 < service runner",
            "r.example/w:1 < service runner, WORKER_IMAGE",
            "lister:1 < service lister",
            "r.example/t:2 < service lister, TOOL_IMAGE",
            "unresolved app:${TAG:-1} < service web",
            "unresolved  < service blank",
            "built tool < service tool",
            "built r.example/site:1 < service site",
        ],
    );
}

#[test]
fn elsewhere_a_registry_or_a_digest_has_to_say_so() {
    let text = format!(
        "
apiVersion: x.example/v1
kind: Backup
metadata: {{name: db, annotations: {{image: r.example/no:1}}}}
spec:
  image: r.example/backup:1
  runnerImage: docker://r.example/runner:1
  sidecar: {{image: grafana/grafana:10, imagePullPolicy: Always}}
  pinned: {{image: 'app@{DIGEST}'}}
  baseImage: r.example/base
  version: '2'
  icon: {{image: https://r.example/logo.png}}
  logo: {{image: ./logo.example/a.png, enabled: {{image: true}}, size: {{image: 3}}}}
  text:
    image: |
      two lines of r.example/text:1
  steps:
  - image: '{{{{inputs.image}}}}'
  - image: r.example/step:1
  images:
    pullPolicy: Always
    web: R.example/web:1
    old: {{repository: r.example/old, tag: 7}}
  deep: {{url: r.example/not/asked:1}}
"
    );
    let found = named(text.as_bytes()).expect("read");
    let pinned = format!("app@{DIGEST} < Backup db, spec.pinned.image");
    assert_eq!(
        said(&found),
        [
            "r.example/backup:1 < Backup db, spec.image",
            "r.example/runner:1 < Backup db, spec.runnerImage",
            &pinned,
            "r.example/step:1 < Backup db, spec.steps[1].image",
            "R.example/web:1 < Backup db, spec.images.web",
            "r.example/old:7 < Backup db, spec.images.old",
            "unresolved {{inputs.image}} < Backup db, spec.steps[0].image",
            "not taken grafana/grafana:10 < Backup db, spec.sidecar.image",
            "not taken r.example/base < Backup db, spec.baseImage",
            "not taken https://r.example/logo.png < Backup db, spec.icon.image",
            "not taken ./logo.example/a.png < Backup db, spec.logo.image",
            "not taken two lines of r.example/text:1\u{fffd} < Backup db, spec.text.image",
        ]
    );
}

#[test]
fn fields_are_called_after_images_in_many_ways() {
    let text = "
apiVersion: x.example/v1
kind: Cluster
metadata: {name: db}
spec:
  imageName: r.example/a:1
  proxy_image: r.example/b:1
  baseImageRef: r.example/c:1
  images:
  - {name: nginx, newName: r.example/d, newTag: '1'}
  - {name: r.example/e, newTag: '2'}
  - {name: f, newTag: '3'}
  relatedImages: [{name: g, image: 'r.example/g:1'}]
  imageTag: r.example/no:1
  imagePullPolicy: r.example/no:2
  pilgrimage: r.example/no:3
";
    assert_said(
        text,
        &[
            "r.example/a:1 < Cluster db, spec.imageName",
            "r.example/b:1 < Cluster db, spec.proxy_image",
            "r.example/c:1 < Cluster db, spec.baseImageRef",
            "r.example/d:1 < Cluster db, spec.images[0]",
            "r.example/e:2 < Cluster db, spec.images[1]",
            "r.example/g:1 < Cluster db, spec.relatedImages[0].image",
            "not taken f:3 < Cluster db, spec.images[2]",
        ],
    );
}

#[test]
fn values_of_helm_are_put_together() {
    let text = format!(
        "
image: {{registry: r.example, repository: team/app, tag: 1.10}}
worker: {{image: {{repository: r.example/worker, tag: '', pullPolicy: Always}}}}
db: {{image: {{repository: bitnami/db, tag: 16}}}}
proxy: {{image: {{registry: '', repository: r.example/proxy, tag: '1', digest: '{DIGEST}'}}}}
cache: {{image: {{repository: cache, sha: '{hex}'}}}}
hook: {{image: {{repository: r.example/hook, tag: '{{{{ .Chart.AppVersion }}}}'}}}}
job: {{image: r.example/job, tag: '3'}}
tool: {{image: r.example/tool}}
",
        hex = DIGEST.trim_start_matches("sha256:")
    );
    let found = named(text.as_bytes()).expect("read");
    let proxy = format!("r.example/proxy:1@{DIGEST} < it.yaml, proxy.image");
    let cache = format!("cache@{DIGEST} < it.yaml, cache.image");
    assert_eq!(
        said(&found),
        [
            "r.example/team/app:1.10 < it.yaml, image",
            &proxy,
            &cache,
            "r.example/tool < it.yaml, tool.image",
            "unresolved r.example/hook:{{ .Chart.AppVersion }} < it.yaml, hook.image",
            "not taken r.example/worker < it.yaml, worker.image",
            "not taken bitnami/db:16 < it.yaml, db.image",
            "not taken r.example/job < it.yaml, job.image",
        ]
    );
    // Not rendered, which is YAML nevertheless.
    assert_said(
        "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: {{ .Values.image }} }]}\n",
        &["unresolved {{ .Values.image }} < Pod, container a"],
    );
    // For JSON as for those who read it, a number is a number.
    assert_said(
        r#"{"image":{"repository":"r.example/app","tag":2}}"#,
        &["r.example/app:2 < it.yaml, image"],
    );
}

#[test]
fn kustomize_says_what_an_image_is_replaced_by() {
    let text = "
kind: Kustomization
images:
- {name: nginx, newName: r.example/k/nginx, newTag: '4'}
- {name: nginx, newName: r.example/k/pinned, digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'}
- {name: r.example/k/moved, newTag: '5'}
- {name: other, newName: r.example/k/other}
";
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let pinned = format!("r.example/k/pinned@{digest} < it.yaml, images[1]");
    assert_said(
        text,
        &[
            "r.example/k/nginx:4 < it.yaml, images[0]",
            &pinned,
            "r.example/k/moved:5 < it.yaml, images[2]",
            "not taken r.example/k/other < it.yaml, images[3]",
        ],
    );
}

#[test]
fn what_describes_or_quotes_images_names_none() {
    for text in [
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {image: 'r.example/a:1'}",
        "apiVersion: x/v1\nkind: XRD\nspec: {openAPIV3Schema: {image: 'r.example/a:1'}}",
        "apiVersion: v1\nkind: ConfigMap\ndata:\n  pod.yaml: |\n    spec:\n      containers:\n      - image: r.example/a:1\n",
        "apiVersion: v1\nkind: Node\nstatus: {images: [{names: ['r.example/a:1']}]}",
        "---\n# Source: a/templates/empty.yaml\n--- # comment\n...\n---\n",
        "",
        "\n\n# nothing\n",
    ] {
        assert_said(text, &[]);
    }
}

#[test]
fn a_list_is_read_line_by_line() {
    assert_said(
        &format!(
            "\u{feff}# images\r\n\r\nnginx:1.25\r\n  docker://r.example/a:1   # old: one\r\nR.example/b@{DIGEST}\r\n\
             app:${{TAG}}\r\n{{{{ .Values.image }}}}\r\nnginx:1.25\r\n<none>:<none>"
        ),
        &[
            "nginx:1.25 < it.yaml, line 3",
            "nginx:1.25 < it.yaml, line 8",
            "r.example/a:1 < it.yaml, line 4",
            &format!("R.example/b@{DIGEST} < it.yaml, line 5"),
            "unresolved app:${TAG} < it.yaml, line 6",
            "unresolved {{ .Values.image }} < it.yaml, line 7",
            "unresolved <none>:<none> < it.yaml, line 9",
        ],
    );
    assert_said(
        "- nginx:1\n- redis:7\n",
        &["nginx:1 < it.yaml, line 1", "redis:7 < it.yaml, line 2"],
    );
    let json = r#"["nginx:1", "redis:7", "nginx:1"]"#;
    let expected = [
        "nginx:1 < it.yaml, item 1",
        "nginx:1 < it.yaml, item 3",
        "redis:7 < it.yaml, item 2",
    ];
    assert_said(json, &expected);
}

#[test]
fn what_helm_says_besides_is_not_read() {
    let text = "NAME: web\nLAST DEPLOYED: Thu Nov 26 17:45:57 2026\nHOOKS:\n---\n# Source: web/hook.yaml\n\
                apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: hook\n  annotations: {helm.sh/hook: pre-install}\n\
                spec: {template: {spec: {containers: [{name: c, image: 'hook:1'}]}}}\nMANIFEST:\n---\n\
                apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: c\n    image: web:1\n\n\
                NOTES:\n1. Get the URL:\n  {{ broken: [\n";
    assert_said(
        text,
        &[
            "hook:1 < Job hook, container c",
            "web:1 < Pod web, container c",
        ],
    );
    // Elsewhere that is no end.
    assert_refused(b"a: b\nNOTES:\n1. Get: the\n  URL: x\n", "not YAML");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line() {
    let deep = format!("a: {}{}", "[".repeat(200), "]".repeat(200));
    let deep_json = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let long_json = format!("{{\"a\":\"{}\"}}", "x".repeat(5 << 20));
    let long = format!("a:\n  b: >\n    {}\n", "x\n    ".repeat(2 << 20));
    let line = "x".repeat(5 << 20);
    let large = format!("{{\"a\":[{}0]}}", "0,".repeat(200_000));
    let large_yaml = format!("a: [{}0]", "0,".repeat(200_000));
    let self_named = "a: &a [*a]\n";
    for (text, why) in [
        ("a: 1\nb: ]\n", "2: not YAML"),
        ("{\"a\": 1,\n\"b\": }", "2: not JSON: expected value"),
        ("{\"a\": 1", "1: not JSON: EOF"),
        ("{\"a\": 1}\n\"ngi", "2: not JSON: EOF"),
        ("[\"a\"]x", "1: not JSON: "),
        (
            "nginx:1\nnginx 1\n",
            "2: `nginx 1` is not the name of an image",
        ),
        (
            "spec:\n  image: {{ .Values.a }}:{{ .Values.b }}\n",
            "2: not YAML",
        ),
        (&deep, "1: nested too deeply"),
        (&deep_json, "1: not JSON: recursion limit"),
        (&long_json, "text of more than 4 MiB"),
        (&long, "text of more than 4 MiB"),
        (&line, "1: a line of more than 4 MiB"),
        (&large, "one object of more than 16 MiB"),
        (&large_yaml, "one object of more than 16 MiB"),
        (self_named, "1: "),
    ] {
        assert_refused(text.as_bytes(), why);
    }
    assert_refused(b"\xff\xfea\0:\0", "UTF-16");
    assert_refused(b"nginx:1\n\xff\xff\n", "2: not UTF-8");
    assert_refused(b"a: b\nc: \xff\n", "2: not UTF-8");
}

/// Each is ten times the one before it.
#[test]
fn a_bomb_of_aliases_takes_no_more_than_an_object_may() {
    let mut bomb = vec!["a0: &a0 [x]".to_owned()];
    for level in 1..12 {
        let below = format!("*a{},", level - 1).repeat(10);
        bomb.push(format!("a{level}: &a{level} [{below}]"));
    }
    assert_refused(bomb.join("\n").as_bytes(), "one object of more than 16 MiB");
    // Objects of a list may each use the same anchor.
    let mut list = String::from("base: &base {image: r.example/a:1}\nitems:\n");
    list.extend((0..50_000).map(|number| format!("- {{number: {number}, <<: *base}}\n")));
    assert_said(
        &list,
        &[
            "r.example/a:1 < it.yaml, image",
            "r.example/a:1 < it.yaml, base.image",
        ],
    );
}

#[test]
fn places_are_counted_beyond_what_is_kept() {
    let pods = (0..150).map(|number| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}}}\nspec: {{containers: [{{image: 'a:1'}}]}}\n"
        )
    });
    let found = named(pods.collect::<String>().as_bytes()).expect("read");
    assert_eq!(found.images.len(), 1);
    assert_eq!(
        (found.images[0].origins.len(), found.images[0].more),
        (100, 50)
    );
    let many: Vec<_> = (0..100_001).map(|number| format!("a:{number}")).collect();
    let many = many.join("\n");
    assert_refused(many.as_bytes(), "100001: more than 100000 different names");
}
