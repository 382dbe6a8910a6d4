//! What `kubectl get pods,nodes --all-namespaces --output json` prints, read item by item: of a file of any length
//! no more is kept than the images and their users.

use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::in_use::{Container, Gathering, InUse};
use crate::oci::shorten;
use crate::report::Origin;

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
    ended.map_err(|error| shorten(&error.to_string(), 200))?;
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
}

#[derive(Deserialize)]
struct Declared {
    #[serde(default)]
    name: String,
    #[serde(default)]
    image: String,
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
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct NodeInfo {
    architecture: String,
    operating_system: String,
}

fn take(item: &Item, gathering: &mut Gathering) -> Result<(), String> {
    let (metadata, spec, status) = (&item.metadata, &item.spec, &item.status);
    if let Some(node) = &status.node_info {
        gathering.node(&metadata.name, &node.operating_system, &node.architecture);
    }
    if matches!(&*status.phase, "Succeeded" | "Failed") {
        return Ok(());
    }
    let owners = metadata.owner_references.iter().flatten();
    let owner = owners.max_by_key(|owner| owner.controller);
    let (kind, name) = owner.map_or(("Pod", &metadata.name), |owner| (&owner.kind, &owner.name));
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
    for container in declared.into_iter().flatten().flatten() {
        let mut seen = seen.into_iter().flatten().flatten();
        let seen = seen.find(|seen| seen.name == container.name);
        gathering.add(Container {
            image: &container.image,
            origin: Origin {
                kind: kind.into(),
                namespace: Some((&metadata.namespace).into()),
                name: Some(name.into()),
                container: Some((&container.name).into()),
                field: None,
            },
            pod: &metadata.name,
            node: &spec.node_name,
            has_run: seen
                .is_some_and(|seen| !seen.container_id.is_empty() || !seen.image_id.is_empty()),
        })?;
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
            ("", "EOF"),
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
