//! What `kubectl get pods,nodes --all-namespaces --output json` prints, read item by item: of a file of any length
//! no more is kept than the images and their users. A page of a list is refused: what it leaves out would go unnoticed.

use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::in_use::{Container, Gathering, InUse};
use crate::oci::shorten;
use crate::report::Origin;

/// What prints a list of everything.
const WHOLE: &str = "`kubectl get pods,nodes -A -o json` prints what is expected";

/// Reads the images of unfinished pods.
///
/// # Errors
///
/// If it is no such list, or ends early: why.
pub fn read(file: impl Read) -> Result<InUse, String> {
    let mut gathering = Gathering::default();
    let mut json = serde_json::Deserializer::from_reader(std::io::BufReader::new(file));
    let read = List(&mut gathering).deserialize(&mut json);
    let ended = read.and_then(|()| json.end());
    ended.map_err(|error| {
        let text = shorten(&error.to_string(), 200);
        match error.classify() {
            Category::Syntax => format!("it is no JSON ({text}): {WHOLE}"),
            Category::Eof => format!("it is empty or cut off ({text}): {WHOLE}"),
            Category::Data | Category::Io => text,
        }
    })?;
    Ok(gathering.finish())
}

/// The list as a whole.
struct List<'a>(&'a mut Gathering);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of pods and nodes, as kubectl prints it")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let mut has_items = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "items" && !has_items {
                map.next_value_seed(Items(&mut *self.0))?;
                has_items = true;
            } else if key == "metadata" {
                map.next_value::<ListMetadata>()?
                    .check()
                    .map_err(M::Error::custom)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if has_items {
            Ok(())
        } else {
            Err(M::Error::custom("it has no `items`: it is no list of pods"))
        }
    }
}

/// What a list says of itself.
#[derive(Deserialize)]
#[serde(
    rename_all = "camelCase",
    default,
    expecting = "the metadata of a list"
)]
#[derive(Default)]
struct ListMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
    remaining_item_count: Option<i64>,
}

impl ListMetadata {
    /// Whether the list is whole.
    fn check(&self) -> Result<(), String> {
        let is_followed = self.next.as_ref().is_some_and(|next| !next.is_empty());
        if is_followed || self.remaining_item_count.is_some_and(|left| left > 0) {
            return Err(format!("it is a page of a longer list: {WHOLE}"));
        }
        Ok(())
    }
}

/// Its items.
struct Items<'a>(&'a mut Gathering);

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<(), S::Error> {
        while let Some(item) = items.next_element::<Item>()? {
            take(&item, self.0).map_err(S::Error::custom)?;
        }
        Ok(())
    }
}

/// A pod or a node, by what is in it: what lists of one kind hold has no kind of its own.
#[derive(Deserialize)]
#[serde(expecting = "a pod or a node")]
struct Item {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    namespace: String,
    owner_references: Option<Vec<Owner>>,
}

#[derive(Deserialize)]
struct Owner {
    kind: String,
    name: String,
    #[serde(default)]
    controller: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: String,
    containers: Option<Vec<Declared>>,
    init_containers: Option<Vec<Declared>>,
    ephemeral_containers: Option<Vec<Declared>>,
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize)]
struct Volume {
    #[serde(default)]
    name: String,
    image: Option<VolumeImage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VolumeImage {
    #[serde(default)]
    reference: String,
    #[serde(default)]
    pull_policy: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Declared {
    #[serde(default)]
    name: String,
    #[serde(default)]
    image: String,
    #[serde(default)]
    image_pull_policy: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    container_statuses: Option<Vec<Seen>>,
    init_container_statuses: Option<Vec<Seen>>,
    ephemeral_container_statuses: Option<Vec<Seen>>,
    node_info: Option<NodeInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    #[serde(default)]
    name: String,
    #[serde(default)]
    #[serde(rename = "containerID")]
    container_id: String,
    #[serde(default)]
    #[serde(rename = "imageID")]
    image_id: String,
    #[serde(default)]
    restart_count: u64,
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    last_state: Option<State>,
}

/// Where a container is; one that waits has neither.
#[derive(Deserialize)]
struct State {
    running: Option<IgnoredAny>,
    terminated: Option<IgnoredAny>,
}

impl Seen {
    /// The ids go when the container does, by a restart of its node or a collection of dead ones.
    fn has_run(&self) -> bool {
        let mut states = self.state.iter().chain(&self.last_state);
        !self.container_id.is_empty()
            || !self.image_id.is_empty()
            || self.restart_count > 0
            || states.any(|state| state.running.is_some() || state.terminated.is_some())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct NodeInfo {
    architecture: String,
    operating_system: String,
    kernel_version: String,
}

/// Whose pod it is: its controller's, or else its own.
fn owner(metadata: &Metadata) -> Origin {
    let owners = metadata.owner_references.iter().flatten();
    let owner = owners.max_by_key(|owner| owner.controller);
    let (kind, name) = owner.map_or(("Pod", &metadata.name), |owner| (&owner.kind, &owner.name));
    Origin {
        kind: kind.into(),
        namespace: Some((&metadata.namespace).into()),
        name: Some(name.into()),
        ..Origin::default()
    }
}

fn take(item: &Item, gathering: &mut Gathering) -> Result<(), String> {
    let (metadata, spec, status) = (&item.metadata, &item.spec, &item.status);
    if let Some(node) = &status.node_info {
        gathering.node(&metadata.name, &node.operating_system, &node.architecture);
        gathering.kernel(&metadata.name, &node.kernel_version);
    }
    if matches!(&*status.phase, "Succeeded" | "Failed") {
        return Ok(());
    }
    let declared = [
        &spec.containers,
        &spec.init_containers,
        &spec.ephemeral_containers,
    ];
    let seen = [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ];
    let origin = owner(metadata);
    let mut add = |image: &str, policy: &str, origin, has_run| {
        gathering.add(Container {
            image,
            origin,
            pod: &metadata.name,
            node: &spec.node_name,
            has_run,
            may_pull: policy != "Never",
        })
    };
    let seen = || seen.into_iter().flatten().flatten();
    for container in declared.into_iter().flatten().flatten() {
        let container_name = Some((&container.name).into());
        let seen = seen().find(|seen| seen.name == container.name);
        let origin = Origin {
            container: container_name,
            ..origin.clone()
        };
        let has_run = seen.is_some_and(Seen::has_run);
        add(
            &container.image,
            &container.image_pull_policy,
            origin,
            has_run,
        )?;
    }
    // They are mounted before the first container starts.
    let has_started = seen().any(Seen::has_run);
    for volume in spec.volumes.iter().flatten() {
        if let Some(image) = &volume.image {
            let field = Some(format!("volume {}", volume.name).into());
            let origin = Origin {
                field,
                ..origin.clone()
            };
            add(&image.reference, &image.pull_policy, origin, has_started)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, rest: &Value) -> Value {
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "shop",
                "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{\"image\":\"not/this\"}" },
                "ownerReferences": [
                    { "kind": "Other", "name": "x" },
                    { "kind": "ReplicaSet", "name": "web-5d", "controller": true },
                ],
            },
            "spec": { "nodeName": "n1", "containers": [{ "name": "app", "image": "r.example/app:1" }] },
            "status": { "phase": "Running", "containerStatuses": [{ "name": "app", "containerID": "containerd://1" }] },
        });
        for (key, value) in rest.as_object().expect("an object") {
            for (inner, value) in value.as_object().expect("an object") {
                pod[key][inner] = value.clone();
            }
        }
        pod
    }

    fn node(name: &str, architecture: &str) -> Value {
        json!({ "kind": "Node", "metadata": { "name": name },
                "status": { "nodeInfo": { "architecture": architecture, "operatingSystem": "linux" } } })
    }

    fn read_items(items: &[Value]) -> InUse {
        let list = json!({ "kind": "List", "metadata": { "a": [1] }, "items": items });
        read(list.to_string().as_bytes()).expect("a list")
    }

    #[test]
    fn pods_of_one_owner_are_one_user_on_each_platform() {
        let on = |node: &str| json!({ "spec": { "nodeName": node } });
        let items = [
            pod("web-1", &on("n1")),
            pod("web-2", &on("n2")),
            pod("web-3", &on("n3")),
            pod("web-4", &on("gone")),
            node("n1", "amd64"),
            node("n2", "arm64"),
            node("n3", "amd64"),
        ];
        let in_use = read_items(&items);
        assert_eq!(in_use.containers, 4);
        let seen: Vec<_> = in_use.images["r.example/app:1"]
            .iter()
            .map(|one| {
                let platform = one.platform.as_ref().map(ToString::to_string);
                (platform.unwrap_or_default(), one.pods, one.names.len())
            })
            .collect();
        let expected = [("", 1, 1), ("linux/amd64", 2, 2), ("linux/arm64", 1, 1)];
        let mut seen: Vec<_> = seen.iter().map(|(a, b, c)| (&**a, *b, *c)).collect();
        seen.sort_unstable();
        assert_eq!(seen, expected);
        let origin = &in_use.images["r.example/app:1"][0].origin;
        assert_eq!(origin.to_string(), "ReplicaSet shop/web-5d, container app");
    }

    #[test]
    fn nodes_of_one_name_and_several_platforms_have_none() {
        let platform = |nodes: &[&str]| {
            let nodes = nodes.iter().map(|architecture| node("n1", architecture));
            let items: Vec<_> = nodes.chain([pod("a", &json!({}))]).collect();
            read_items(&items).images["r.example/app:1"][0]
                .platform
                .clone()
        };
        assert!(platform(&["arm64", "arm64"]).is_some());
        assert_eq!(platform(&["arm64", "amd64", "amd64"]), None);
    }

    #[test]
    fn every_container_of_an_unfinished_pod_counts() {
        let spec = json!({ "spec": {
            "initContainers": [{ "name": "init", "image": "r.example/init@sha256:0" }],
            "ephemeralContainers": [{ "name": "debug", "image": "busybox" }],
        }, "status": {
            "initContainerStatuses": [{ "name": "init", "containerID": "", "imageID": "", "image": "x" }],
            "ephemeralContainerStatuses": null,
        } });
        let finished = json!({ "status": { "phase": "Succeeded" }, "spec": {
            "containers": [{ "name": "job", "image": "r.example/job:1" }] } });
        let bare = json!({ "metadata": { "ownerReferences": null }, "status": { "phase": "Pending" },
            "spec": { "containers": [{ "name": "app", "image": "bare" }, { "name": "none", "image": "" }] } });
        let in_use = read_items(&[
            pod("a", &spec),
            pod("b", &finished),
            pod("c", &bare),
            json!({}),
        ]);
        let names: Vec<_> = in_use.images.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "bare",
                "busybox",
                "r.example/app:1",
                "r.example/init@sha256:0"
            ]
        );
        let has_run = |image: &str| in_use.images[image][0].has_run;
        assert!(
            has_run("r.example/app:1")
                && !has_run("r.example/init@sha256:0")
                && !has_run("busybox")
        );
        let origin = &in_use.images["bare"][0].origin;
        assert_eq!(origin.to_string(), "Pod shop/c, container app");
    }

    #[test]
    fn what_has_run_is_known_without_ids() {
        let has_run = |status: Value| {
            let mut seen = json!({ "name": "app", "imageID": "", "containerID": "" });
            for (key, value) in status.as_object().expect("an object") {
                seen[key] = value.clone();
            }
            let status = json!({ "status": { "phase": "Running", "containerStatuses": [seen] } });
            read_items(&[pod("a", &status)]).images["r.example/app:1"][0].has_run
        };
        let waiting = json!({ "waiting": { "reason": "ImagePullBackOff" } });
        for (status, expected) in [
            (
                json!({ "state": waiting, "lastState": {}, "restartCount": 0 }),
                false,
            ),
            (json!({ "state": null, "lastState": null }), false),
            (json!({ "state": { "terminated": null } }), false),
            (json!({ "state": waiting, "restartCount": 2 }), true),
            (
                json!({ "state": waiting, "lastState": { "terminated": { "exitCode": 1 } } }),
                true,
            ),
            (json!({ "state": { "running": {} } }), true),
            (
                json!({ "state": { "terminated": { "exitCode": 0 } } }),
                true,
            ),
        ] {
            assert_eq!(has_run(status.clone()), expected, "{status}");
        }
    }

    #[test]
    fn images_of_volumes_are_in_use() {
        let spec = |image: Value| {
            json!({ "spec": { "volumes": [
            { "name": "data", "emptyDir": {} },
            { "name": "model", "image": image },
        ] } })
        };
        let by_name = spec(json!({ "reference": "r.example/model:1", "pullPolicy": "Always" }));
        let mut waits = by_name.clone();
        waits["status"] = json!({ "phase": "Pending", "containerStatuses": [] });
        let in_use = read_items(&[
            pod("a", &by_name),
            pod("b", &waits),
            pod("c", &spec(Value::Null)),
        ]);
        let users = in_use.images["r.example/model:1"].iter();
        let users: Vec<_> = users
            .map(|user| (user.origin.to_string(), user.has_run))
            .collect();
        let origin = "ReplicaSet shop/web-5d, volume model".to_owned();
        assert_eq!(users, [(origin.clone(), false), (origin, true)]);
        assert_eq!(in_use.containers, 3, "a volume is no container");
    }

    #[test]
    fn a_page_of_a_list_is_an_error() {
        let page = |metadata: &str| {
            let after = format!("{{\"items\":[],\"metadata\":{metadata}}}");
            let before = format!("{{\"metadata\":{metadata},\"items\":[]}}");
            let told = [after, before].map(|text| read(text.as_bytes()));
            assert_eq!(told[0].is_ok(), told[1].is_ok(), "{metadata}");
            told.into_iter().find_map(Result::err).unwrap_or_default()
        };
        for metadata in [
            "{\"continue\":\"x\"}",
            "{\"continue\":\"\",\"remainingItemCount\":7}",
        ] {
            assert!(
                page(metadata).contains("a page of a longer list"),
                "{metadata}"
            );
        }
        for metadata in [
            "{}",
            "{\"continue\":null,\"resourceVersion\":\"\"}",
            "{\"remainingItemCount\":0}",
        ] {
            assert_eq!(page(metadata), "", "{metadata}");
        }
    }

    /// Anybody may have written the file: whatever a byte of it is, or wherever it ends, there is an answer.
    #[test]
    fn no_file_is_too_odd_to_be_read() {
        let items = [pod("a", &json!({})), node("n1", "amd64")];
        let whole = json!({ "items": items }).to_string();
        for position in 0..whole.len() {
            let mut odd = whole.clone().into_bytes();
            for byte in [b'"', b'{', b']', b',', b'0', 0, 0xff] {
                odd[position] = byte;
                let _ = read(odd.as_slice());
            }
            assert!(read(&whole.as_bytes()[..position]).is_err(), "{position}");
        }
    }

    #[test]
    fn what_is_no_list_or_no_whole_one_is_an_error() {
        let whole = json!({ "items": [pod("a", &json!({}))] }).to_string();
        let cut = &whole[..whole.len() - 9];
        for (text, why) in [
            ("", "it is empty or cut off (EOF"),
            (
                "items: []",
                "it is no JSON (expected value at line 1 column 1): `kubectl get pods,nodes",
            ),
            ("\u{feff}{}", "it is no JSON"),
            ("\u{1f}\u{8b}", "it is no JSON"),
            ("{\"items\":[null]}", "null, expected a pod or a node"),
            ("[]", "a list of pods and nodes"),
            ("{\"kind\":\"Pod\"}", "no `items`"),
            ("{\"items\":{}}", "a list of objects"),
            ("{\"items\":[{\"spec\":7}]}", "invalid type"),
            (cut, "EOF"),
            ("{\"items\":[]} {}", "trailing"),
        ] {
            let error = read(text.as_bytes()).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
        assert_eq!(read(&b"{\"items\":[]}"[..]), Ok(InUse::default()));
    }
}
